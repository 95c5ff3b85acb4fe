//! The deeds.

use std::time::Duration;

use gatepost::{
    EndSessions, Ended, Error, Holder, HostEvent, LogIn, NewApiKey, NewUser, OpenSession, Page,
    PasswordChange, Refusal, Scope, SessionId, Store, UserFilter, UserId, UserStatus, UserUpdate,
};

use super::Deed;
use crate::scene::{Start, dear};
use crate::store::{PASSWORD, device, sql};

const NEXT: &str = "lantern over wet slate";

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
    Deed::write("log in", "Store::log_in", |_, store| {
        assert!(log_in(store, "ada", PASSWORD)?.is_none());
        Ok(())
    }).commits(2),
    Deed::write("log in with a wrong password", "Store::log_in(refused)", |_, store| {
        assert_eq!(log_in(store, "ada", NEXT)?, Some(Refusal::InvalidCredentials));
        Ok(())
    }).commits(2),
    Deed::write("log in with a name that nobody has", "Store::log_in(refused)", |_, store| {
        assert_eq!(log_in(store, "nobody", NEXT)?, Some(Refusal::InvalidCredentials));
        Ok(())
    }).commits(2),
    Deed::write("log in where the cost is raised", "Store::log_in", |_, store| {
        assert!(log_in(store, "carl", PASSWORD)?.is_none());
        Ok(())
    }).commits(3).dispensable(1).options(|options| options.cost(dear(3))),
    Deed::write("open a session", "Sessions::open", |scene, store| {
        let answer = store.sessions().open(OpenSession::new(scene.id("ada"), device("new")))?;
        assert!(answer.is_granted());
        Ok(())
    }),
    Deed::write("log out", "Store::log_out", |scene, store| {
        assert_eq!(store.log_out(scene.token("ada.till"), &device("till"))?, Ended::Now);
        Ok(())
    }),
    Deed::write("change a password", "Store::change_password", |scene, store| {
        let (token, till) = (scene.token("ada.till"), device("till"));
        let change = store.change_password(token, &till, PASSWORD.into(), NEXT.into())?;
        assert!(matches!(change, PasswordChange::Changed(_)));
        Ok(())
    }).commits(2).draws(),
    Deed::write("set a password", "Users::set_password", |scene, store| {
        store.users().set_password(scene.id("ada"), NEXT.into())
    }),
    Deed::write("remove a password", "Users::remove_password", |scene, store| {
        store.users().remove_password(scene.id("ada")).map(drop)
    }),
    Deed::write("require a change", "Users::require_password_change(EndSessions::All)",
        |scene, store| {
            let ada = scene.id("ada");
            store.users().require_password_change(ada, EndSessions::All).map(drop)
        }),
    Deed::write("mark as compromised", "Users::mark_compromised",
        |scene, store| store.users().mark_compromised(scene.id("ada")).map(drop)),
    Deed::write("rename a user", "Users::rename", |scene, store| {
        store.users().rename(scene.id("ada"), "lovelace").map(drop)
    }),
    Deed::write("set an e-mail address", "Users::set_email", |scene, store| {
        store.users().set_email(scene.id("ada"), Some("a@example.com")).map(drop)
    }),
    Deed::write("confirm", "Users::confirm(first)", |scene, store| {
        store.users().confirm(scene.id("ada")).map(drop)
    }),
    Deed::write("end a session", "Sessions::end", |scene, store| {
        assert_eq!(store.sessions().end(scene.id("ada.till.id"))?, Ended::Now);
        Ok(())
    }),
    Deed::write("end one's own session", "Sessions::end_own", |scene, store| {
        let facts = store.verify(scene.token("ada.till"), &device("till"))?.valid().unwrap();
        assert_eq!(store.sessions().end_own(&facts, scene.id("ada.desk.id"))?, Ended::Now);
        Ok(())
    }).upon("ada.desk"),
    Deed::write("end the others", "Sessions::end_others", |scene, store| {
        let facts = store.verify(scene.token("ada.till"), &device("till"))?.valid().unwrap();
        store.sessions().end_others(&facts)
    }),
    Deed::write("end all of a user", "Sessions::end_all_of", |scene, store| {
        store.sessions().end_all_of(scene.id("ada"))
    }),
    Deed::write("end all of a branch", "Sessions::end_all_of_branch", |scene, store| {
        store.sessions().end_all_of_branch(scene.id("quay"))
    }),
    Deed::write("end all of an organisation", "Sessions::end_all_of_organisation",
        |scene, store| store.sessions().end_all_of_organisation(scene.id("north"))),
    Deed::write("end all", "Sessions::end_all", |_, store| store.sessions().end_all()),
    Deed::write("close an organisation", "Organisations::set_active(false)",
        |scene, store| store.organisations().set_active(scene.id("north"), false).map(drop)
    ),
    Deed::write("close a branch", "Branches::set_active(false)", |scene, store| {
        store.branches().set_active(scene.id("quay"), false).map(drop)
    }),
    Deed::write("move a branch", "Branches::move_to", |scene, store| {
        store.branches().move_to(scene.id("quay"), None).map(drop)
    }),
    Deed::write("disable a user", "Users::set_status(Disabled)", |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Disabled).map(drop)
    }),
    Deed::write("lock a user", "Users::set_status(Locked)", |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Locked).map(drop)
    }),
    Deed::write("disable a system user", "Users::set_status(Disabled)",
        |scene, store| {
            store.users().set_status(scene.id("system"), UserStatus::Disabled).map(drop)
        }
    ).upon("key"),
    Deed::write("move a user", "Users::move_to", |scene, store| {
        store.users().move_to(scene.id::<UserId>("ada"), None).map(drop)
    }),
    Deed::write("delete a user", "Users::delete", |scene, store| {
        store.users().delete(scene.id("ada"))
    }),
    Deed::write("delete a system user", "Users::delete", |scene, store| {
        store.users().delete(scene.id("system"))
    }).upon("key"),
    Deed::write("restore a user", "Users::restore", |scene, store| {
        store.users().restore(scene.id("gone")).map(drop)
    }),
    Deed::write("create a user", "Users::create", |_, store| {
        let new = NewUser::person("eve").email("eve@example.com").privilege("admin");
        store.users().create(new.password(PASSWORD.into())).map(drop)
    }),
    Deed::write("update a user", "Users::update", |scene, store| {
        let update = UserUpdate::new().first_name("Augusta").attributes("{\"desk\": 4}");
        store.users().update(scene.id("ada"), update).map(drop)
    }),
    Deed::write("set privileges", "Users::set_privileges", |scene, store| {
        store.users().set_privileges(scene.id("ada"), &["print", "scan"]).map(drop)
    }),
    Deed::write("unlock", "Users::unlock", |scene, store| {
        assert!(store.users().unlock(scene.id("bob"))?);
        Ok(())
    }).prepared(|_, store| {
        log_in(store, "bob", NEXT).map(drop).unwrap();
    }),
    Deed::write("issue a key", "ApiKeys::issue", |scene, store| {
        store.api_keys().issue(scene.id("bob"), NewApiKey::new()).map(drop)
    }),
    Deed::write("reassign a key", "ApiKeys::reassign(no overlap)", |scene, store| {
        store.api_keys().reassign(scene.id("system"), Duration::ZERO).map(drop)
    }).upon("key").draws(),
    Deed::write("revoke a key", "ApiKeys::revoke", |scene, store| {
        store.api_keys().revoke(scene.id("key.id"))
    }).upon("key"),
    Deed::write("revoke all keys", "ApiKeys::revoke_all", |scene, store| {
        store.api_keys().revoke_all(scene.id("system"))
    }).upon("key"),
    Deed::write("set a value", "Settings::set", |_, store| {
        store.configuration().set(Scope::System, "desk.colour", "green").map(drop)
    }),
    Deed::write("set a value if", "Settings::set_if", |_, store| {
        let settings = store.configuration();
        settings.set_if(Scope::System, "desk.colour", Some("blue"), "red").map(drop)
    }),
    Deed::write("remove a value", "Settings::remove", |_, store| {
        store.configuration().remove(Scope::System, "desk.colour").map(drop)
    }),
    Deed::write("make a key public", "Settings::set_public(true)", |_, store| {
        store.configuration().set_public("desk.colour", true)
    }),
    Deed::write("set credits", "CreditBook::set", |scene, store| {
        store.credits().set(Holder::Organisation(scene.id("north")), 9)
    }),
    Deed::write("add credits", "CreditBook::add", |scene, store| {
        assert_eq!(store.credits().add(Holder::Branch(scene.id("quay")), 9)?, 109);
        Ok(())
    }),
    Deed::write("spend credits", "CreditBook::spend", |scene, store| {
        assert_eq!(store.credits().spend(Holder::Branch(scene.id("quay")), 9)?, 91);
        Ok(())
    }),
    Deed::write("label a session", "Sessions::set_label", |scene, store| {
        store.sessions().set_label(scene.id("ada.till.id"), Some("front desk"))
    }),
    Deed::write("write a document", "Sessions::set_document",
        |scene, store| {
            let till = scene.id("ada.till.id");
            store.sessions().set_document(till, "{\"page\": 2}", 1).map(drop)
        }),
    Deed::write("forget a device", "Devices::forget", |scene, store| {
        assert!(store.devices().forget(scene.id("ada"), &device("desk"))?);
        Ok(())
    }).upon("ada.desk"),
    Deed::write("create an organisation", "Organisations::create", |_, store| {
        store.organisations().create("South").map(drop)
    }),
    Deed::write("rename an organisation", "Organisations::rename", |scene, store| {
        store.organisations().rename(scene.id("north"), "Far North").map(drop)
    }),
    Deed::write("delete an organisation", "Organisations::delete", |scene, store| {
        store.organisations().delete(scene.id("bare"))
    }),
    Deed::write("create a branch", "Branches::create", |scene, store| {
        let north: gatepost::OrganisationId = scene.id("north");
        store.branches().create("Pier", north).map(drop)
    }),
    Deed::write("rename a branch", "Branches::rename", |scene, store| {
        store.branches().rename(scene.id("quay"), "Old Quay").map(drop)
    }),
    Deed::write("delete a branch", "Branches::delete", |scene, store| {
        store.branches().delete(scene.id("hollow"))
    }),
    Deed::write("record the host's events", "Audit::record", |_, store| {
        let event = || HostEvent::new("report.printed");
        store.audit().record(&[event()?, event()?])
    }),
    Deed::write("maintain", "Store::maintain", |_, store| {
        assert_eq!(store.maintain()?.sessions, 1);
        Ok(())
    }).commits(2),
    Deed::write("close with counts to keep", "Store::close", |_, store| {
        store.close()
    }).dispensable(1).prepared(|_, store| {
        assert!(store.verify("nobody's", &device("till")).unwrap().valid().is_err());
    }),
    Deed::write("verify and write the use", "Store::verify", |scene, store| {
        let verdict = store.verify(scene.token("bob.idle"), &device("idle"))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        Ok(())
    }).dispensable(1),
    Deed::write("move the log into the file", "Settings::set", |_, store| {
        for value in ["1", "2", "3"] {
            store.configuration().set(Scope::System, "desk.rows", value)?;
        }
        Ok(())
    }).commits(3).from(Start::Full),
    Deed::write("begin a log anew that is too long", "Settings::set", |_, store| {
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
