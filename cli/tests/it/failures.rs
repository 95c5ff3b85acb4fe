//! What a command that fails says.

use crate::world::World;

/// Once a name or a path of the command line reached the terminal as it was.
#[test]
fn a_failure_cannot_steer_a_terminal() {
    let world = World::new();
    let name = "a\u{1b}[2J\u{9b}\u{202e}\nb";
    for (words, code) in [
        (["user", "show", name].as_slice(), 3),
        (&["user", "list", "--file", name], 3),
        (&["user", "list", "--key-file", name], 3),
        (&["session", "show", name], 2),
        (&["user", "list", "--status", name], 2),
        (&["user", "list", name], 2),
        (&[name], 2),
    ] {
        let ran = world.run(words);
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
        assert!(ran.err.contains("\\u{1b}[2J"), "{words:?}: {ran:?}");
        let is_bare = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!ran.err.contains(is_bare) && !ran.err.contains("\nb"), "{words:?}: {ran:?}");
    }
}
