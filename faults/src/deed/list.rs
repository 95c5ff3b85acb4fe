//! The deeds.

use std::time::Duration;

use gatepost::{
    EndSessions, Ended, Error, Holder, HostEvent, LogIn, NewApiKey, NewUser, OpenSession, Page,
    PasswordChange, Refusal, Scope, SessionId, Store, UserFilter, UserId, UserStatus, UserUpdate,
};

use super::Deed;
use crate::scene::{PENDING, Start, dear};
use crate::store::{PASSWORD, device, sql};

const NEXT: &str = "lantern over wet slate";

/// What ends with ada, and what with everyone of the branch.
const OF_ADA: &[&str] = &["ada.till", "ada.desk", "ada.key", PENDING];
const OF_QUAY: &[&str] =
    &["ada.till", "ada.desk", "ada.key", PENDING, "bob.van", "bob.idle", "key"];

/// All of them.
#[rustfmt::skip]
pub(crate) const DEEDS: &[Deed] = &[
    Deed::open("create a file", Start::Nothing),
    Deed::open("open a closed file", Start::Closed),
    Deed::open("open what was left by a kill", Start::Hot),
    Deed::read("verify", |scene, store| {
        let till = device("till");
        let verdict = store.verify(scene.token("ada.till"), &till)?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        let verdict = store.verify(scene.token("ada.ended"), &device("ended"))?;
        assert!(verdict.valid().is_err(), "a dead token passed");
        Ok(())
    }),
    Deed::read("verify a key", |scene, store| {
        let verdict = store.verify(scene.token("key"), None)?;
        assert!(verdict.valid().is_ok(), "a live key was refused");
        let verdict = store.verify(scene.token("ada.ended"), None)?;
        assert!(verdict.valid().is_err(), "a dead token passed");
        Ok(())
    }),
    Deed::read("verify again what is remembered and was ended elsewhere", |scene, store| {
        let verdict = store.verify(scene.token("ada.till"), &device("till"))?;
        assert!(verdict.valid().is_err(), "what was ended by another passed");
        let verdict = store.verify(scene.token("bob.van"), &device("van"))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        Ok(())
    }).prepared(|scene, store| {
        for (name, on) in [("ada.till", "till"), ("bob.van", "van")] {
            let verdict = store.verify(scene.token(name), &device(on)).unwrap();
            assert!(verdict.valid().is_ok(), "a live token was refused");
        }
        let id: SessionId = scene.id("ada.till.id");
        let other = sql(&store.status().path.unwrap());
        let ended = other.execute("DELETE FROM session WHERE id = ?1", [id.as_uuid().as_bytes()]);
        assert_eq!(ended.unwrap(), 1);
    }),
    Deed::read("read a profile", |scene, store| {
        let facts = store.verify(scene.token("ada.till"), &device("till"))?.valid().unwrap();
        assert_eq!(store.profile(&facts)?.user.username, "ada");
        Ok(())
    }),
    Deed::read("list and find", |scene, store| {
        assert_eq!(store.users().list(&UserFilter::new(), Page::first(10))?.len(), 5);
        assert_eq!(store.sessions().list_of(scene.id("ada"))?.len(), 2);
        assert!(store.users().find_by_username("bob")?.is_some());
        assert_eq!(store.configuration().public_for(None)?.len(), 0);
        Ok(())
    }),
    Deed::read("read the whole log", |_, store| {
        assert!(store.audit().verify_chain(None)?.is_intact());
        Ok(())
    }),
    Deed::write("log in", &["flow/login.rs: reserve", "flow/login.rs: settle"], |_, store| {
        assert!(log_in(store, "ada", PASSWORD)?.is_none());
        Ok(())
    }).commits(2),
    Deed::write("log in with a wrong password", &[], |_, store| {
        assert_eq!(log_in(store, "ada", NEXT)?, Some(Refusal::InvalidCredentials));
        Ok(())
    }).commits(2),
    Deed::write("log in with a name that nobody has", &[], |_, store| {
        assert_eq!(log_in(store, "nobody", NEXT)?, Some(Refusal::InvalidCredentials));
        Ok(())
    }).commits(2),
    Deed::write("log in where the cost is raised", &["flow/login.rs: upgrade_hash"], |_, store| {
        assert!(log_in(store, "carl", PASSWORD)?.is_none());
        Ok(())
    }).commits(3).dispensable(1).options(|options| options.cost(dear(3))),
    Deed::write("open a session", &["flow/session_open.rs: open"], |scene, store| {
        let answer = store.sessions().open(OpenSession::new(scene.id("ada"), device("new")))?;
        assert!(answer.is_granted());
        Ok(())
    }),
    Deed::write("log out", &["flow/logout.rs: log_out"], |scene, store| {
        assert_eq!(store.log_out(scene.token("ada.till"), &device("till"))?, Ended::Now);
        Ok(())
    }),
    Deed::write("change a password", &[
        "flow/password_change.rs: reserve_for", "flow/password_change.rs: change_password",
    ], |scene, store| {
        let (token, till) = (scene.token("ada.till"), device("till"));
        let change = store.change_password(token, &till, PASSWORD.into(), NEXT.into())?;
        assert!(matches!(change, PasswordChange::Changed(_)));
        Ok(())
    }).commits(2),
    Deed::write("set a password", &["flow/password_set.rs: store_hash"], |scene, store| {
        store.users().set_password(scene.id("ada"), NEXT.into())
    }),
    Deed::write("remove a password", &["flow/password_set.rs: remove_password"], |scene, store| {
        store.users().remove_password(scene.id("ada")).map(drop)
    }),
    Deed::write("require a change", &["flow/password_set.rs: require_password_change"],
        |scene, store| {
            let ada = scene.id("ada");
            store.users().require_password_change(ada, EndSessions::All).map(drop)
        }),
    Deed::write("mark as compromised", &["flow/password_set.rs: mark_compromised"],
        |scene, store| store.users().mark_compromised(scene.id("ada")).map(drop)),
    Deed::write("rename a user", &["flow/identity.rs: rename"], |scene, store| {
        store.users().rename(scene.id("ada"), "lovelace").map(drop)
    }),
    Deed::write("set an e-mail address", &["flow/identity.rs: set_email"], |scene, store| {
        store.users().set_email(scene.id("ada"), Some("a@example.com")).map(drop)
    }),
    Deed::write("confirm", &["flow/identity.rs: confirm"], |scene, store| {
        store.users().confirm(scene.id("ada")).map(drop)
    }),
    Deed::write("end a session", &["flow/revoke.rs: end"], |scene, store| {
        assert_eq!(store.sessions().end(scene.id("ada.till.id"))?, Ended::Now);
        Ok(())
    }),
    Deed::write("end one's own session", &["flow/revoke.rs: end_own"], |scene, store| {
        let facts = store.verify(scene.token("ada.till"), &device("till"))?.valid().unwrap();
        assert_eq!(store.sessions().end_own(&facts, scene.id("ada.desk.id"))?, Ended::Now);
        Ok(())
    }),
    Deed::write("end the others", &["flow/revoke.rs: end_others"], |scene, store| {
        let facts = store.verify(scene.token("ada.till"), &device("till"))?.valid().unwrap();
        store.sessions().end_others(&facts)
    }),
    Deed::write("end all of a user", &["flow/revoke.rs: end_all_of"], |scene, store| {
        store.sessions().end_all_of(scene.id("ada"))
    }),
    Deed::write("end all of a branch", &["flow/revoke.rs: end_all_of_branch"], |scene, store| {
        store.sessions().end_all_of_branch(scene.id("quay"))
    }),
    Deed::write("end all of an organisation", &["flow/revoke.rs: end_all_of_organisation"],
        |scene, store| store.sessions().end_all_of_organisation(scene.id("north"))),
    Deed::write("end all", &["flow/revoke.rs: end_all"], |_, store| store.sessions().end_all()),
    Deed::write("close an organisation", &["flow/standing/places.rs: set_active"],
        |scene, store| store.organisations().set_active(scene.id("north"), false).map(drop)
    ).ends(OF_QUAY),
    Deed::write("close a branch", &["flow/standing/places.rs: set_active"], |scene, store| {
        store.branches().set_active(scene.id("quay"), false).map(drop)
    }).ends(OF_QUAY),
    Deed::write("move a branch", &["flow/standing/places.rs: move_to"], |scene, store| {
        store.branches().move_to(scene.id("quay"), None).map(drop)
    }),
    Deed::write("disable a user", &["flow/standing/users.rs: set_status"], |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Disabled).map(drop)
    }).ends(OF_ADA),
    Deed::write("lock a user", &["flow/standing/users.rs: set_status"], |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Locked).map(drop)
    }).ends(OF_ADA),
    Deed::write("disable a system user", &["flow/standing/users.rs: set_status"],
        |scene, store| {
            store.users().set_status(scene.id("system"), UserStatus::Disabled).map(drop)
        }
    ).ends(&["key"]),
    Deed::write("move a user", &["flow/standing/users.rs: move_to"], |scene, store| {
        store.users().move_to(scene.id::<UserId>("ada"), None).map(drop)
    }),
    Deed::write("delete a user", &["flow/standing/users.rs: delete"], |scene, store| {
        store.users().delete(scene.id("ada"))
    }).ends(OF_ADA),
    Deed::write("delete a system user", &["flow/standing/users.rs: delete"], |scene, store| {
        store.users().delete(scene.id("system"))
    }).ends(&["key"]),
    Deed::write("restore a user", &["flow/standing/users.rs: restore"], |scene, store| {
        store.users().restore(scene.id("gone")).map(drop)
    }),
    Deed::write("create a user", &["record/user/new.rs: create"], |_, store| {
        let new = NewUser::person("eve").email("eve@example.com").privilege("admin");
        store.users().create(new.password(PASSWORD.into())).map(drop)
    }),
    Deed::write("update a user", &["record/user/update.rs: update"], |scene, store| {
        let update = UserUpdate::new().first_name("Augusta").attributes("{\"desk\": 4}");
        store.users().update(scene.id("ada"), update).map(drop)
    }),
    Deed::write("set privileges", &["record/user/update.rs: set_privileges"], |scene, store| {
        store.users().set_privileges(scene.id("ada"), &["print", "scan"]).map(drop)
    }),
    Deed::write("unlock", &["record/user/update.rs: unlock"], |scene, store| {
        assert!(store.users().unlock(scene.id("bob"))?);
        Ok(())
    }).prepared(|_, store| {
        log_in(store, "bob", NEXT).map(drop).unwrap();
    }),
    Deed::write("issue a key", &["record/api_key.rs: issue"], |scene, store| {
        store.api_keys().issue(scene.id("bob"), NewApiKey::new()).map(drop)
    }),
    Deed::write("reassign a key", &["record/api_key.rs: replace"], |scene, store| {
        store.api_keys().reassign(scene.id("system"), Duration::ZERO).map(drop)
    }),
    Deed::write("revoke a key", &["record/api_key.rs: revoke"], |scene, store| {
        store.api_keys().revoke(scene.id("key.id"))
    }),
    Deed::write("set a value", &["record/configuration.rs: set"], |_, store| {
        store.configuration().set(Scope::System, "desk.colour", "green").map(drop)
    }),
    Deed::write("set a value if", &["record/configuration.rs: set_if"], |_, store| {
        let settings = store.configuration();
        settings.set_if(Scope::System, "desk.colour", Some("blue"), "red").map(drop)
    }),
    Deed::write("remove a value", &["record/configuration.rs: remove"], |_, store| {
        store.configuration().remove(Scope::System, "desk.colour").map(drop)
    }),
    Deed::write("make a key public", &["record/configuration.rs: set_public"], |_, store| {
        store.configuration().set_public("desk.colour", true)
    }),
    Deed::write("set credits", &["record/credit.rs: set"], |scene, store| {
        store.credits().set(Holder::Organisation(scene.id("north")), 9)
    }),
    Deed::write("add credits", &["record/credit.rs: add"], |scene, store| {
        assert_eq!(store.credits().add(Holder::Branch(scene.id("quay")), 9)?, 109);
        Ok(())
    }),
    Deed::write("spend credits", &["record/credit.rs: spend"], |scene, store| {
        assert_eq!(store.credits().spend(Holder::Branch(scene.id("quay")), 9)?, 91);
        Ok(())
    }),
    Deed::write("label a session", &["record/session.rs: set_label"], |scene, store| {
        store.sessions().set_label(scene.id("ada.till.id"), Some("front desk"))
    }),
    Deed::write("write a document", &["record/session/document.rs: set_document"],
        |scene, store| {
            let till = scene.id("ada.till.id");
            store.sessions().set_document(till, "{\"page\": 2}", 1).map(drop)
        }),
    Deed::write("forget a device", &["record/device.rs: forget"], |scene, store| {
        assert!(store.devices().forget(scene.id("ada"), &device("desk"))?);
        Ok(())
    }),
    Deed::write("create an organisation", &["record/organisation.rs: create"], |_, store| {
        store.organisations().create("South").map(drop)
    }),
    Deed::write("rename an organisation", &["record/organisation.rs: rename"], |scene, store| {
        store.organisations().rename(scene.id("north"), "Far North").map(drop)
    }),
    Deed::write("delete an organisation", &["record/organisation.rs: delete"], |scene, store| {
        store.organisations().delete(scene.id("bare"))
    }),
    Deed::write("create a branch", &["record/branch.rs: create"], |scene, store| {
        let north: gatepost::OrganisationId = scene.id("north");
        store.branches().create("Pier", north).map(drop)
    }),
    Deed::write("rename a branch", &["record/branch.rs: rename"], |scene, store| {
        store.branches().rename(scene.id("quay"), "Old Quay").map(drop)
    }),
    Deed::write("delete a branch", &["record/branch.rs: delete"], |scene, store| {
        store.branches().delete(scene.id("hollow"))
    }),
    Deed::write("record the host's events", &["record/audit.rs: record"], |_, store| {
        let event = || HostEvent::new("report.printed");
        store.audit().record(&[event()?, event()?])
    }),
    Deed::write("maintain", &["flow/sweep.rs: maintain"], |_, store| {
        assert_eq!(store.maintain()?.sessions, 1);
        Ok(())
    }).commits(2),
    Deed::write("close with counts to keep", &["flow/sweep.rs: keep_counts"], |_, store| {
        store.close()
    }).dispensable(1).prepared(|_, store| {
        assert!(store.verify("nobody's", &device("till")).unwrap().valid().is_err());
    }),
    Deed::write("verify and write the use", &["flow/sweep.rs: flush_touches"], |scene, store| {
        let verdict = store.verify(scene.token("bob.idle"), &device("idle"))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        Ok(())
    }).dispensable(1),
    Deed::write("move the log into the file", &[], |_, store| {
        for value in ["1", "2", "3"] {
            store.configuration().set(Scope::System, "desk.rows", value)?;
        }
        Ok(())
    }).commits(3).from(Start::Full),
    Deed::write("begin a log anew that is too long", &[], |_, store| {
        for value in ["1", "2", "3"] {
            store.configuration().set(Scope::System, "desk.rows", value)?;
        }
        Ok(())
    }).commits(3).from(Start::Long),
];

/// What a login answers: nothing if it is granted.
fn log_in(store: &Store, name: &str, password: &str) -> Result<Option<Refusal>, Error> {
    let answer = store.log_in(LogIn::new(name, password.into(), device("new")))?;
    Ok(answer.granted().err())
}
