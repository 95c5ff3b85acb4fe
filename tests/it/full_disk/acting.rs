//! An impersonation while the revocation of the administrator's session waits for room.

use gatepost::sessions::Impersonation;
use gatepost::status::RefusalCause;

use super::*;

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

    let reader = disk.old_snapshot();
    disk.fill();
    disk.write_until_refused();
    let refused = disk.store.log_out((&boss.token, &desk)).unwrap_err();
    assert_eq!((refused.kind(), disk.store.status().denied), (ErrorKind::Full, 1));
    // Cached or not, and for a call that takes the principal.
    assert!(!disk.is_live(&acting) && !disk.is_live(&boss) && disk.is_live(&ada));
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
    assert!(!disk.is_live(&acting));
    let why = disk.store.explain((&acting.token, &device("window")))?;
    assert_eq!(why.cause, RefusalCause::Revoked);
    assert_eq!(why.evidence.row().map(|row| row.event.as_str()), Some("session.ended"));
    disk.store.close()
}
