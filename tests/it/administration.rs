//! Administrations: granted, withdrawn, and gone with the place, the erasure and the restore.
