//! The operations, except those of second factors.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use gatepost::audit::HostEvent;
use gatepost::directory::{CreditHolder, ImportRecord, UserFilter, UserStatus, UserUpdate};
use gatepost::sessions::{
    Impersonation, NewApiKey, NewOneTimeToken, NewTicket, OpenSession, Redemption, RevokeApiKeys,
    RevokeSessions, SessionFilter, Version,
};
use gatepost::uuid::Uuid;
use gatepost::{
    BranchId, Ended, Error, LoginOutcome, LoginRefusal, LoginRequest, NewUser, OrganisationId,
    Page, SessionId, Store, Subtree, UserId,
};

use super::{NO_TOKEN, Operation};
use crate::place::beside;
use crate::scene::{ISSUER, Scene, Start, dear};
use crate::store::{PASSWORD, device, options, sql};
use crate::trial::SEED;

pub(super) const NEXT: &str = "lantern over wet slate";

#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::open("create a file", Start::Nothing),
    Operation::open("open a closed file", Start::Closed),
    Operation::open("open what was left by a kill", Start::Hot),
    Operation::read("verify", |scene, store| {
        let till = device("till");
        let verdict = store.verify((scene.token("ada.till"), &till))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        let verdict = store.verify((scene.token("ada.ended"), &device("ended")))?;
        assert!(verdict.valid().is_err(), "a dead token passed");
        Ok(())
    }),
    Operation::read("verify a key", |scene, store| {
        let verdict = store.verify((scene.token("key"), None))?;
        assert!(verdict.valid().is_ok(), "a live key was refused");
        let verdict = store.verify((scene.token("ada.ended"), None))?;
        assert!(verdict.valid().is_err(), "a dead token passed");
        Ok(())
    }),
    Operation::read("verify again a cached session that was revoked elsewhere", |scene, store| {
        let verdict = store.verify((scene.token("ada.till"), &device("till")))?;
        assert!(verdict.valid().is_err(), "what was ended by another passed");
        let verdict = store.verify((scene.token("bob.van"), &device("van")))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        Ok(())
    }).prepared(|scene, store| {
        for (name, on) in [("ada.till", "till"), ("bob.van", "van")] {
            let verdict = store.verify((scene.token(name), &device(on))).unwrap();
            assert!(verdict.valid().is_ok(), "a live token was refused");
        }
        let id: SessionId = scene.id("ada.till.id");
        let other = sql(&store.status().path.unwrap());
        let ended = other.execute("DELETE FROM session WHERE id = ?1", [id.as_uuid().as_bytes()]);
        assert_eq!(ended.unwrap(), 1);
    }),
    Operation::read("read a profile", |scene, store| {
        let principal = store.verify((scene.token("ada.till"), &device("till")))?.valid().unwrap();
        assert_eq!(store.profile(&principal)?.user.username, "ada");
        Ok(())
    }),
    Operation::read("list and find", |scene, store| {
        assert_eq!(store.users().list(&UserFilter::new(), Page::first(10))?.len(), 7);
        let of_ada = SessionFilter::new().under(scene.id::<UserId>("ada"));
        assert_eq!(store.sessions().list(&of_ada, Page::default())?.len(), 2);
        assert!(store.users().find_by_username("bob")?.is_some());
        assert_eq!(store.configuration().public_for(None)?.len(), 0);
        Ok(())
    }),
    Operation::read("read the whole log", |_, store| {
        assert!(store.audit().verify_chain(None)?.is_intact());
        Ok(())
    }),
    Operation::write("log in", "Store::log_in", |_, store| {
        assert!(log_in(store, "ada", PASSWORD)?.is_none());
        Ok(())
    }).commits(2),
    Operation::write("log in with a wrong password", "Store::log_in(refused)", |_, store| {
        assert_eq!(log_in(store, "ada", NEXT)?, Some(LoginRefusal::InvalidCredentials));
        Ok(())
    }).commits(2),
    Operation::write("log in with a name that unknown has", "Store::log_in(refused)", |_, store| {
        assert_eq!(log_in(store, "unknown", NEXT)?, Some(LoginRefusal::InvalidCredentials));
        Ok(())
    }),
    Operation::write("log in where the cost is raised", "Store::log_in", |_, store| {
        assert!(log_in(store, "carl", PASSWORD)?.is_none());
        Ok(())
    }).commits(3).dispensable(1).options(|options| options.cost(dear(3))),
    Operation::write("open a session", "Sessions::open", |scene, store| {
        let answer = store.sessions().open(OpenSession::new(scene.id("ada"), device("new")))?;
        assert!(answer.granted().is_ok());
        Ok(())
    }),
    Operation::write("impersonate", "Sessions::impersonate", |scene, store| {
        let verdict = store.verify((scene.token("bob.van"), &device("van")))?;
        let administrator = verdict.valid().unwrap();
        let request = Impersonation::new(scene.id("ada"), device("new"));
        let answer = store.sessions().impersonate(&administrator, request)?;
        assert!(answer.granted().is_ok(), "an administrator was refused");
        Ok(())
    }).prepared(|scene, store| {
        store.users().set_privileges(scene.id("bob"), &["admin"]).unwrap();
    }),
    Operation::write("log out", "Store::log_out", |scene, store| {
        assert_eq!(store.log_out((scene.token("ada.till"), &device("till")))?, Ended::Now);
        Ok(())
    }),
    Operation::write("renew a session", "Store::renew", |scene, store| {
        let renewal = store.renew((scene.token("ada.till"), &device("till")))?;
        assert!(renewal.valid().is_ok(), "a live session was not renewed");
        Ok(())
    }).prepared(|scene, store| {
        // As if it had been opened twelve hours earlier: a twentieth of its lifetime moves it.
        let id: SessionId = scene.id("ada.till.id");
        let other = sql(&store.status().path.unwrap());
        let sooner = "UPDATE session SET expires_at = expires_at - 43200000 WHERE id = ?1";
        assert_eq!(other.execute(sooner, [id.as_uuid().as_bytes()]).unwrap(), 1);
    }),
    Operation::write("change a password", "Store::change_password", |scene, store| {
        let (token, till) = (scene.token("ada.till"), device("till"));
        let change = store.change_password((token, &till), PASSWORD.into(), NEXT.into())?;
        assert!(matches!(change, LoginOutcome::Granted(_)));
        Ok(())
    }).commits(2).draws(),
    Operation::write("change a password and revoke keys", "Store::change_password_and_revoke_keys",
        |scene, store| {
            let (token, till) = (scene.token("ada.till"), device("till"));
            let (old, new) = (PASSWORD.into(), NEXT.into());
            let change = store.change_password_and_revoke_keys((token, &till), old, new)?;
            assert!(matches!(change, LoginOutcome::Granted(_)));
            Ok(())
        }).commits(2).draws(),
    Operation::write("set a password", "Users::set_password", |scene, store| {
        store.users().set_password(scene.id("ada"), NEXT.into())
    }).draws(),
    Operation::write("remove a password", "Users::remove_password", |scene, store| {
        store.users().remove_password(scene.id("ada")).map(drop)
    }),
    Operation::write("require a change", "Users::require_password_change(RevokeSessions::All)",
        |scene, store| {
            let ada = scene.id("ada");
            store.users().require_password_change(ada, RevokeSessions::All).map(drop)
        }),
    Operation::write("mark as compromised", "Users::mark_compromised",
        |scene, store| store.users().mark_compromised(scene.id("ada")).map(drop)),
    Operation::write("rename a user", "Users::rename", |scene, store| {
        store.users().rename(scene.id("ada"), "lovelace").map(drop)
    }),
    Operation::write("set an e-mail address", "Users::set_email", |scene, store| {
        store.users().set_email(scene.id("ada"), Some("a@example.com")).map(drop)
    }),
    Operation::write("confirm", "Users::confirm(first)", |scene, store| {
        store.users().confirm(scene.id("ada")).map(drop)
    }),
    Operation::write("confirm and remove the password",
        "Users::confirm_and_remove_password(first)",
        |scene, store| store.users().confirm_and_remove_password(scene.id("ada")).map(drop)),
    Operation::write("end a session", "Sessions::revoke", |scene, store| {
        assert_eq!(store.sessions().revoke(scene.id("ada.till.id"))?, Ended::Now);
        Ok(())
    }),
    Operation::write("end one's own session", "Sessions::revoke_own", |scene, store| {
        let principal = store.verify((scene.token("ada.till"), &device("till")))?.valid().unwrap();
        assert_eq!(store.sessions().revoke_own(&principal, scene.id("ada.desk.id"))?, Ended::Now);
        Ok(())
    }).upon("ada.desk"),
    Operation::write("end the others", "Sessions::revoke_others", |scene, store| {
        let principal = store.verify((scene.token("ada.till"), &device("till")))?.valid().unwrap();
        store.sessions().revoke_others(&principal)
    }),
    Operation::write("end all of a user", "Sessions::revoke_all(user)", |scene, store| {
        store.sessions().revoke_all(scene.id::<UserId>("ada"))
    }),
    Operation::write("end all of a branch", "Sessions::revoke_all(branch)", |scene, store| {
        store.sessions().revoke_all(scene.id::<BranchId>("quay"))
    }),
    Operation::write("end all of an organisation", "Sessions::revoke_all(organisation)",
        |scene, store| store.sessions().revoke_all(scene.id::<OrganisationId>("north"))),
    Operation::write("end all", "Sessions::revoke_all(store)",
        |_, store| store.sessions().revoke_all(Subtree::Store)),
    Operation::write("close an organisation", "Organisations::set_active(false)",
        |scene, store| store.organisations().set_active(scene.id("north"), false).map(drop)
    ),
    Operation::write("close a branch", "Branches::set_active(false)", |scene, store| {
        store.branches().set_active(scene.id("quay"), false).map(drop)
    }),
    Operation::write("move a branch", "Branches::move_to", |scene, store| {
        store.branches().move_to(scene.id("quay"), None).map(drop)
    }),
    Operation::write("disable a user", "Users::set_status(Disabled)", |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Disabled).map(drop)
    }),
    Operation::write("lock a user", "Users::set_status(Locked)", |scene, store| {
        store.users().set_status(scene.id("ada"), UserStatus::Locked).map(drop)
    }),
    Operation::write("disable a system user", "Users::set_status(Disabled)",
        |scene, store| {
            store.users().set_status(scene.id("system"), UserStatus::Disabled).map(drop)
        }
    ).upon("key"),
    Operation::write("move a user", "Users::move_to", |scene, store| {
        store.users().move_to(scene.id::<UserId>("ada"), None).map(drop)
    }),
    Operation::write("delete a user", "Users::delete", |scene, store| {
        store.users().delete(scene.id("ada"))
    }),
    Operation::write("delete a system user", "Users::delete", |scene, store| {
        store.users().delete(scene.id("system"))
    }).upon("key"),
    Operation::write("restore a user", "Users::restore", |scene, store| {
        store.users().restore(scene.id("gone")).map(drop)
    }),
    Operation::write("erase a user", "Users::erase", |scene, store| {
        store.users().erase(scene.id("gone")).map(drop)
    }),
    Operation::write("import a user", "Store::import", |_, store| {
        let record = ImportRecord::User {
            id: UserId::from_uuid(Uuid::from_u128(1)),
            user: Box::new(NewUser::person("imported")),
            created_at: None,
            confirmed_at: None,
        };
        store.import(vec![record])?.into_iter().try_for_each(|result| result.map(drop))
    }),
    Operation::write("create a user", "Users::create", |_, store| {
        let new = NewUser::person("eve").email("eve@example.com").privilege("admin");
        store.users().create(new.password(PASSWORD.into())).map(drop)
    }),
    Operation::write("update a user", "Users::update", |scene, store| {
        let update = UserUpdate::new().first_name("Augusta").attributes("{\"desk\": 4}");
        store.users().update(scene.id("ada"), update).map(drop)
    }),
    Operation::write("set privileges", "Users::set_privileges", |scene, store| {
        store.users().set_privileges(scene.id("ada"), &["print", "scan"]).map(drop)
    }),
    Operation::write("change privileges", "Users::change_privileges", |scene, store| {
        store.users().change_privileges(scene.id("ada"), &["scan"], &["admin"]).map(drop)
    }),
    Operation::write("activate a locked user", "Users::activate_locked", |scene, store| {
        store.users().activate_locked(scene.id("spare")).map(drop)
    }).upon(NO_TOKEN).prepared(|scene, store| {
        drop(store.users().set_status(scene.id("spare"), UserStatus::Locked).unwrap());
    }),
    Operation::write("unlock", "Users::unlock", |scene, store| {
        assert!(store.users().unlock(scene.id("bob"))?);
        Ok(())
    }).prepared(|_, store| {
        log_in(store, "bob", NEXT).map(drop).unwrap();
    }),
    Operation::write("issue a key", "ApiKeys::issue", |scene, store| {
        store.api_keys().issue(scene.id("bob"), NewApiKey::new()).map(drop)
    }),
    Operation::write("make a key from a session", "ApiKeys::attenuate(session)", |scene, store| {
        let principal = store.verify((scene.token("ada.till"), &device("till")))?.valid().unwrap();
        store.api_keys().attenuate(&principal, NewApiKey::new()).map(drop)
    }),
    Operation::write("make a key from a key", "ApiKeys::attenuate(API key)", |scene, store| {
        let principal = store.verify((scene.token("key"), None))?.valid().unwrap();
        store.api_keys().attenuate(&principal, NewApiKey::new()).map(drop)
    }).upon("key"),
    Operation::write("rotate a key", "ApiKeys::rotate(no overlap)", |scene, store| {
        store.api_keys().rotate(scene.id("key.id"), Duration::ZERO).map(drop)
    }).upon("key").draws(),
    Operation::write("revoke a key", "ApiKeys::revoke", |scene, store| {
        store.api_keys().revoke(scene.id("key.id"))
    }).upon("key"),
    Operation::write("revoke all keys", "ApiKeys::revoke_all", |scene, store| {
        store.api_keys().revoke_all(scene.id("system"))
    }).upon("key"),
    Operation::write("issue a one-time token", "OneTimeTokens::issue", |scene, store| {
        let new = NewOneTimeToken::password_reset();
        store.one_time_tokens().issue(scene.id("ada"), new).map(drop)
    }),
    Operation::write("request a reset", "OneTimeTokens::request_password_reset", |_, store| {
        assert!(store.one_time_tokens().request_password_reset("ada")?.mail().is_some());
        Ok(())
    }),
    Operation::write("reset a password", "OneTimeTokens::reset_password(RevokeApiKeys::Keep)",
        |scene, store| {
            let (tokens, token) = (store.one_time_tokens(), scene.token("ada.reset"));
            used(tokens.reset_password(token, NEXT.into(), RevokeApiKeys::Keep)?)
        }).draws(),
    Operation::write("reset a password and keys",
        "OneTimeTokens::reset_password(RevokeApiKeys::All)", |scene, store| {
            let (tokens, token) = (store.one_time_tokens(), scene.token("ada.reset"));
            used(tokens.reset_password(token, NEXT.into(), RevokeApiKeys::All)?)
        }).draws(),
    Operation::write("confirm an address", "OneTimeTokens::confirm_email(first)",
        |scene, store| {
            let token = scene.token("ada.confirmation");
            used(store.one_time_tokens().confirm_email(token)?)
        }),
    Operation::write("accept an invitation", "OneTimeTokens::accept_invitation",
        |scene, store| {
            let token = scene.token("guest.invitation");
            used(store.one_time_tokens().accept_invitation(token, NEXT.into())?)
        }).upon(NO_TOKEN).draws(),
    Operation::write("issue the token of the first administrator",
        "OneTimeTokens::issue_first_administrator", |_, store| {
            store.one_time_tokens().issue_first_administrator().map(drop)
        }),
    Operation::write("create the first administrator",
        "OneTimeTokens::create_first_administrator", |scene, store| {
            let (tokens, token) = (store.one_time_tokens(), scene.token("first_administrator"));
            used(tokens.create_first_administrator(token, "chief", NEXT.into())?)
        }).draws(),
    Operation::write("grant an administration", "Users::grant_administration", |scene, store| {
        let branch = branch_of_bob(scene, store)?;
        assert!(store.users().grant_administration(scene.id("ada"), branch)?);
        Ok(())
    }),
    Operation::write("withdraw an administration", "Users::withdraw_administration",
        |scene, store| {
            let branch = branch_of_bob(scene, store)?;
            assert!(store.users().withdraw_administration(scene.id("bob"), branch)?);
            Ok(())
        }),
    Operation::write("link an external identity", "ExternalIdentities::link", |scene, store| {
        store.external_identities().link(scene.id("bob"), ISSUER, "8").map(drop)
    }),
    Operation::write("unlink an external identity", "ExternalIdentities::unlink",
        |scene, store| {
            assert!(store.external_identities().unlink(scene.id("ada"), ISSUER, "7")?);
            Ok(())
        }),
    Operation::read("verify a ticket", |scene, store| {
        let principal = store.verify((scene.token("ada.till"), &device("till")))?.valid().unwrap();
        let minted = store.tickets().mint(&principal, NewTicket::new("GET", "/"))?;
        let ticket = minted.valid().expect("a live session").ticket;
        let verdict = store.tickets().verify(ticket.expose(), "GET", "/")?;
        assert!(verdict.valid().is_ok(), "a live ticket was refused");
        let verdict = store.tickets().verify(ticket.expose(), "GET", "/other")?;
        assert!(verdict.valid().is_err(), "a ticket passed for another resource");
        Ok(())
    }),
    Operation::write("revoke all one-time tokens", "OneTimeTokens::revoke_all",
        |scene, store| store.one_time_tokens().revoke_all(scene.id("ada"))),
    Operation::write("set a value", "Settings::set", |_, store| {
        store.configuration().set(Subtree::Store, "desk.colour", "green").map(drop)
    }),
    Operation::write("set a value if", "Settings::set_if", |_, store| {
        let settings = store.configuration();
        settings.set_if(Subtree::Store, "desk.colour", Some("blue"), "red").map(drop)
    }),
    Operation::write("remove a value", "Settings::remove", |_, store| {
        store.configuration().remove(Subtree::Store, "desk.colour").map(drop)
    }),
    Operation::write("make a key public", "Settings::set_public(true)", |_, store| {
        store.configuration().set_public("desk.colour", true)
    }),
    Operation::write("set credits", "CreditBook::set", |scene, store| {
        store.credits().set(CreditHolder::Organisation(scene.id("north")), 9)
    }),
    Operation::write("add credits", "CreditBook::add", |scene, store| {
        assert_eq!(store.credits().add(CreditHolder::Branch(scene.id("quay")), 9)?, 109);
        Ok(())
    }),
    Operation::write("spend credits", "CreditBook::spend", |scene, store| {
        assert_eq!(store.credits().spend(CreditHolder::Branch(scene.id("quay")), 9)?, 91);
        Ok(())
    }),
    // A policy: with another option of the file, the bench's own options would be refused.
    Operation::write("change the options of the file", "Store::change_options", |_, store| {
        store.change_options(|options| options.api_keys_per_user(7))
    }),
    Operation::write("label a session", "Sessions::set_label", |scene, store| {
        store.sessions().set_label(scene.id("ada.till.id"), Some("front desk"))
    }),
    Operation::write("write a document", "Sessions::set_data_json",
        |scene, store| {
            let till = scene.id("ada.till.id");
            store.sessions().set_data_json(till, "{\"page\": 2}", Version::from_u64(1)).map(drop)
        }),
    Operation::write("forget a device", "Devices::forget", |scene, store| {
        assert!(store.devices().forget(scene.id("ada"), &device("desk"))?);
        Ok(())
    }).upon("ada.desk"),
    Operation::write("forget a listed device", "Devices::forget_listed", |scene, store| {
        let handle = device("desk").handle();
        assert!(store.devices().forget_listed(scene.id("ada"), &handle)?);
        Ok(())
    }).upon("ada.desk"),
    Operation::write("create an organisation", "Organisations::create", |_, store| {
        store.organisations().create("South").map(drop)
    }),
    Operation::write("rename an organisation", "Organisations::rename", |scene, store| {
        store.organisations().rename(scene.id("north"), "Far North").map(drop)
    }),
    Operation::write("delete an organisation", "Organisations::delete", |scene, store| {
        store.organisations().delete(scene.id("bare"))
    }),
    Operation::write("create a branch", "Branches::create", |scene, store| {
        let north: gatepost::OrganisationId = scene.id("north");
        store.branches().create("Pier", north).map(drop)
    }),
    Operation::write("rename a branch", "Branches::rename", |scene, store| {
        store.branches().rename(scene.id("quay"), "Old Quay").map(drop)
    }),
    Operation::write("delete a branch", "Branches::delete", |scene, store| {
        store.branches().delete(scene.id("hollow"))
    }),
    Operation::write("record the host's events", "Audit::record", |_, store| {
        let event = || HostEvent::new("report.printed");
        store.audit().record(&[event()?, event()?])
    }),
    Operation::write("add a consumer of the audit log", "Audit::add_consumer", |_, store| {
        store.audit().add_consumer("mailer").map(drop)
    }),
    Operation::write("acknowledge audit rows", "Audit::acknowledge", |_, store| {
        let newest = store.audit().unseen("shipper", 500)?.up_to;
        store.audit().acknowledge("shipper", newest)
    }),
    Operation::write("remove a consumer of the audit log", "Audit::remove_consumer", |_, store| {
        assert!(store.audit().remove_consumer("shipper")?);
        Ok(())
    }),
    Operation::write("maintain", "Store::maintain", |_, store| {
        assert_eq!(store.maintain()?.sessions, 1);
        Ok(())
    }).commits(2),
    Operation::write("seal under another key", "Store::rekey", |_, store| {
        assert!(store.rekey(1_000)?.is_complete);
        Ok(())
    }),
    Operation::write("close with counts to keep", "Store::close", |_, store| {
        store.close()
    }).dispensable(1).prepared(|_, store| {
        assert!(store.verify(("unknown", &device("till"))).unwrap().valid().is_err());
    }),
    Operation::write("verify and write the use", "Store::verify", |scene, store| {
        let verdict = store.verify((scene.token("bob.idle"), &device("idle")))?;
        assert!(verdict.valid().is_ok(), "a live token was refused");
        Ok(())
    }).dispensable(1),
    Operation::write("move the log into the file", "Settings::set", |_, store| {
        for value in ["1", "2", "3"] {
            store.configuration().set(Subtree::Store, "desk.rows", value)?;
        }
        Ok(())
    }).commits(3).from(Start::Full),
    Operation::write("begin a log again that is too long", "Settings::set", |_, store| {
        for value in ["1", "2", "3"] {
            store.configuration().set(Subtree::Store, "desk.rows", value)?;
        }
        Ok(())
    }).commits(3).from(Start::Long),
];

fn used(redeemed: Redemption) -> Result<(), Error> {
    assert!(redeemed.valid().is_ok(), "a valid one-time token was refused");
    Ok(())
}

/// The refusal of a login; `None` if it is granted.
fn log_in(store: &Store, name: &str, password: &str) -> Result<Option<LoginRefusal>, Error> {
    let answer = store.log_in(LoginRequest::new(name, password.into(), device("new")))?;
    Ok(answer.granted().err())
}

/// Those that write a copy of the file too. A failed backup is a row of the log, which a bench of
/// errors would take for half of one.
#[rustfmt::skip]
pub(crate) const WITH_COPIES: &[Operation] = &[
    Operation::write("back up", "Store::backup", |_, store| {
        store.backup(copy_of(store), |_| ()).map(drop)
    }).prepared(|_, store| clear_copy(store)),
    Operation::write("restore a backup", "Store::restore", |_, store| {
        let path = store.status().path.unwrap();
        Store::restore(copy_of(store), path, options(SEED)).map(drop)
    }).prepared(|_, store| {
        clear_copy(store);
        store.backup(copy_of(store), |_| ()).unwrap();
    }),
];

fn copy_of(store: &Store) -> PathBuf {
    beside(&store.status().path.unwrap(), "-copy")
}

/// Removes what a killed process left.
fn clear_copy(store: &Store) {
    for suffix in ["", ".manifest", ".partial", ".partial-journal", ".manifest.partial"] {
        let _ = fs::remove_file(beside(&copy_of(store), suffix));
    }
}

fn branch_of_bob(scene: &Scene, store: &Store) -> Result<BranchId, Error> {
    let bob = store.users().find(scene.id("bob"))?.expect("bob");
    Ok(bob.branch.expect("the branch of bob"))
}
