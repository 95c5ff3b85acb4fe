//! The file system of a store: local, unusual or network, and whether its locks can be trusted.

use std::path::Path;

use super::{OpenWarning, Tolerances};
use crate::error::{Error, ErrorKind, Result};

/// Refuses a network file system unless the host program accepts it; returns a warning for an
/// unusual one.
pub(super) fn check(directory: &Path, tolerances: Tolerances) -> Result<Option<OpenWarning>> {
    accept(file_system(directory)?, tolerances)
}

fn accept(file_system: FileSystem, tolerances: Tolerances) -> Result<Option<OpenWarning>> {
    match file_system {
        FileSystem::Local => Ok(None),
        FileSystem::Unusual => Ok(Some(OpenWarning::UnusualFileSystem)),
        FileSystem::Network if tolerances.network_file_system => {
            Ok(Some(OpenWarning::UnusualFileSystem))
        }
        FileSystem::Network => Err(Error::new(
            ErrorKind::Unsupported,
            "the locks of a network file system cannot be trusted; \
             Options::dangerous().allow_network_file_system() accepts it",
        )),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    Local,
    Unusual,
    Network,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn file_system(directory: &Path) -> Result<FileSystem> {
    let seen = rustix::fs::statfs(directory).map_err(|_| {
        Error::new(ErrorKind::Io, "the system does not say which file system this is")
    })?;
    // The width and sign of the field differ between platforms.
    #[expect(clippy::cast_possible_truncation, reason = "the value has 32 bits")]
    #[expect(clippy::cast_sign_loss, reason = "the value is a bit pattern")]
    let kind = seen.f_type as u32;
    Ok(file_system_of(kind))
}

/// `f_type` of `statfs(2)`, by the numbers in `linux/magic.h` and the drivers' sources.
#[cfg(any(target_os = "linux", target_os = "android"))]
const fn file_system_of(kind: u32) -> FileSystem {
    match kind {
        0x6969 // NFS
        | 0x517B // SMB
        | 0xFE53_4D42 // SMB2
        | 0xFF53_4D42 // CIFS
        | 0x564C // NCP
        | 0x5346_414F // AFS
        | 0x6B41_4653 // kAFS
        | 0x7375_7245 // Coda
        | 0x00C3_6400 // Ceph
        | 0x0BD0_0BD0 // Lustre
        | 0x0116_1970 // GFS2
        | 0x7461_636F // OCFS2
        => FileSystem::Network,
        0x6573_5546 // FUSE, virtiofs
        | 0x0102_1997 // 9p
        | 0x786F_4256 // VirtualBox
        | 0xBACB_ACBC // VMware
        | 0x7C7C_6673 // Parallels
        => FileSystem::Unusual,
        _ => FileSystem::Local,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn file_system(_directory: &Path) -> Result<FileSystem> {
    Ok(FileSystem::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_distinguished_by_their_numbers() {
        for network in [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x5346_414F, 0x6B41_4653] {
            assert_eq!(file_system_of(network), FileSystem::Network, "{network:#x}");
        }
        for unusual in [0x6573_5546, 0x0102_1997] {
            assert_eq!(file_system_of(unusual), FileSystem::Unusual, "{unusual:#x}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS.
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1] {
            assert_eq!(file_system_of(local), FileSystem::Local, "{local:#x}");
        }
    }

    #[test]
    fn a_network_is_refused_unless_the_host_opted_in() {
        let opted_in = Tolerances { network_file_system: true, ..Tolerances::default() };
        let refused = accept(FileSystem::Network, Tolerances::default()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let noted = Some(OpenWarning::UnusualFileSystem);
        assert_eq!(accept(FileSystem::Network, opted_in).unwrap(), noted);
        assert_eq!(accept(FileSystem::Unusual, Tolerances::default()).unwrap(), noted);
        assert_eq!(accept(FileSystem::Local, Tolerances::default()).unwrap(), None);
    }
}
