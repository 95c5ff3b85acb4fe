//! What an error says.

use std::error::Error;

use gatepost_desk::{DeskError, Folder, VaultError};

use crate::world::World;

#[test]
fn each_error_is_one_sentence_with_its_cause() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let folder = Folder::at(file.join("till")).unwrap_err();
    assert!(folder.to_string().contains("the folder cannot be made"), "{folder}");
    assert!(folder.source().is_some());

    let world = World::new();
    world.desk.close().unwrap();
    let store = world.desk.is_new().unwrap_err();
    assert_eq!(store.to_string(), "the store is closed");

    let vault = DeskError::from(VaultError::Locked);
    assert_eq!(vault.to_string(), VaultError::Locked.to_string());
    for error in [
        VaultError::Locked,
        VaultError::Unavailable,
        VaultError::NotPrivate("the file"),
        VaultError::SameKind,
    ] {
        assert!(!DeskError::from(error).is_retryable());
    }
    for error in [DeskError::Busy, DeskError::Ended, DeskError::Locked, DeskError::NotEmpty] {
        assert!(error.source().is_none() && error.to_string().len() > 10);
        assert_eq!(error.is_retryable(), matches!(error, DeskError::Busy));
    }
}
