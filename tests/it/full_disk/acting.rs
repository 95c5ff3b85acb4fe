//! An impersonation while the revocation of the administrator's session waits for room.

use gatepost::sessions::{Impersonation, NewTicket};
use gatepost::status::RefusalCause;

use super::*;

/// The session, or a ticket that was minted in it: `verify` asked for the administrator's session,
/// and `tickets().verify` did not.
pub(super) fn an_impersonation_is_denied_with_the_session_it_came_from(
    disk: Disk,
) -> Result<(), Error> {
    let (boss, ada) = (disk.holder("boss")?, disk.holder("ada")?);
    disk.store.users().set_privileges(boss.user, &["admin"])?;
    let desk = device("boss");
    let own = disk.store.verify((&boss.token, &desk))?.valid().unwrap();
    let request = Impersonation::new(ada.user, device("window"));
    let reply = disk.store.sessions().impersonate(&own, request)?.granted().unwrap();
    let token = reply.session.token.expose().to_owned();
    let acting = Holder { user: ada.user, device: "window".into(), token };
    assert!(disk.is_live(&acting) && disk.is_live(&boss));
    let ticket = ticket_of(&disk, &acting);
    let verify_ticket = || disk.store.tickets().verify(&ticket, "GET", "/images/7").unwrap();
    assert!(verify_ticket().valid().is_ok());

    let reader = disk.old_snapshot();
    disk.fill();
    disk.write_until_refused();
    let refused = disk.store.log_out((&boss.token, &desk)).unwrap_err();
    assert_eq!((refused.kind(), disk.store.status().denied), (ErrorKind::Full, 1));
    // Cached or not, and for a call that takes the principal.
    assert!(!disk.is_live(&acting) && !disk.is_live(&boss) && disk.is_live(&ada));
    assert!(verify_ticket().valid().is_err());
    let gone = disk.store.profile(&reply.principal).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::SessionEnded);
    for holder in [&acting, &boss] {
        let why = disk.store.explain((&holder.token, &device(&holder.device)))?;
        assert_eq!(why.cause, RefusalCause::Denied);
    }
    assert_eq!(disk.store.explain((&ada.token, &device("ada")))?.cause, RefusalCause::Accepted);

    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern")?;
    assert_eq!(disk.store.status().denied, 0);
    assert!(!disk.is_live(&acting) && verify_ticket().valid().is_err());
    let why = disk.store.explain((&acting.token, &device("window")))?;
    assert_eq!(why.cause, RefusalCause::Revoked);
    assert_eq!(why.evidence.row().map(|row| row.event.as_str()), Some("session.revoked"));
    disk.store.close()
}

/// As above, where all sessions of the administrator are denied and not the one alone.
pub(super) fn a_ticket_of_an_impersonation_is_denied_with_all_sessions_of_the_administrator(
    disk: Disk,
) -> Result<(), Error> {
    let (boss, ada) = (disk.holder("boss")?, disk.holder("ada")?);
    disk.store.users().set_privileges(boss.user, &["admin"])?;
    let own = disk.store.verify((&boss.token, &device("boss")))?.valid().unwrap();
    let request = Impersonation::new(ada.user, device("window"));
    let reply = disk.store.sessions().impersonate(&own, request)?.granted().unwrap();
    let token = reply.session.token.expose().to_owned();
    let acting = Holder { user: ada.user, device: "window".into(), token };
    let tickets = [&acting, &ada].map(|holder| ticket_of(&disk, holder));
    let are_valid = || {
        let verify = |ticket| disk.store.tickets().verify(ticket, "GET", "/images/7").unwrap();
        tickets.each_ref().map(|ticket| verify(ticket).valid().is_ok())
    };
    assert_eq!(are_valid(), [true, true]);

    let reader = disk.old_snapshot();
    disk.fill();
    disk.write_until_refused();
    let refused = disk.store.sessions().revoke_all(boss.user).unwrap_err();
    assert_eq!((refused.kind(), disk.store.status().denied), (ErrorKind::Full, 1));
    assert_eq!(are_valid(), [false, true]);
    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern")?;
    assert_eq!(are_valid(), [false, true]);
    disk.store.close()
}

fn ticket_of(disk: &Disk, holder: &Holder) -> String {
    let verdict = disk.store.verify((&holder.token, &device(&holder.device))).unwrap();
    let principal = verdict.valid().unwrap();
    let minted = disk.store.tickets().mint(&principal, NewTicket::new("GET", "/images/7"));
    minted.unwrap().valid().unwrap().ticket.expose().to_owned()
}
