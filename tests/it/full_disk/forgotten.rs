//! A device that is forgotten while there is no room, and with it its trust.

use gatepost::audit::{AuditFilter, EventKind};

use super::*;

/// On one device ada has a session, from the other she has logged out.
pub(super) fn a_device_is_forgotten_also_if_no_session_is_on_it(disk: Disk) -> Result<(), Error> {
    let ada = disk.holder("ada")?;
    let laptop = disk.session(ada.user, "laptop")?;
    disk.store.log_out((&laptop, &device("laptop")))?;
    disk.holder("ben")?;
    let reader = disk.old_snapshot();
    disk.fill();
    disk.write_until_refused();
    let devices = disk.store.devices();
    for (denied, on) in [(1, "laptop"), (2, "ada")] {
        let refused = devices.forget(ada.user, &device(on)).unwrap_err();
        assert_eq!(
            (refused.kind(), disk.store.status().denied),
            (ErrorKind::Full, denied),
            "{on}"
        );
    }
    assert!(!disk.is_live(&ada));
    let unknown = devices.forget(ada.user, &device("nowhere")).unwrap();
    assert!(!unknown, "there is nothing to forget");

    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern").unwrap();
    assert_eq!(disk.store.status().denied, 0);
    assert_eq!(devices.list(ada.user).unwrap(), []);
    let filter = AuditFilter::new().kind(EventKind::DeviceForgotten);
    assert_eq!(disk.store.audit().count(&filter).unwrap(), 2);
    disk.store.close()
}
