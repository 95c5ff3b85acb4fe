//! The file of `--state`, by which a test that drives the window knows when to go on.

use std::fs;
use std::path::PathBuf;

use eframe::egui::{Context, Event, Key};

/// How many frames a state lasts until it is reported: by then it is drawn and on the display, and
/// its first field has the focus.
const FRAMES: u32 = 4;

/// Writes `KEYS ACTIONS TITLE` after each change: how often tab or space was pressed, as a frame
/// takes one tab only; how often the user wanted something that is now done; and the title of the
/// screen. On a line of its own follows why that was refused or failed, if it was.
pub(crate) struct Reporting {
    file: PathBuf,
    keys: usize,
    state: String,
    frames: u32,
}

impl Reporting {
    pub(crate) fn to(file: PathBuf) -> Self {
        Self { file, keys: 0, state: String::new(), frames: 0 }
    }

    /// Called in each frame. Nothing is reported while a call runs.
    pub(crate) fn frame(
        &mut self,
        ctx: &Context,
        is_working: bool,
        actions: u64,
        (title, problem): (&str, Option<&str>),
    ) {
        let is_counted = |event: &&Event| match event {
            Event::Key { key, pressed, .. } => *pressed && matches!(key, Key::Tab | Key::Space),
            _ => false,
        };
        self.keys += ctx.input(|input| input.events.iter().filter(is_counted).count());
        let state = format!("{} {actions} {title}\n{}", self.keys, problem.unwrap_or_default());
        if is_working || state != self.state {
            (self.state, self.frames) = (state, 0);
        }
        if is_working || self.frames == FRAMES {
            return;
        }
        self.frames += 1;
        if self.frames < FRAMES {
            ctx.request_repaint();
        } else {
            // Whole, or not at all: a test may read at any time.
            let new = self.file.with_extension("new");
            let written = fs::write(&new, &self.state).and_then(|()| fs::rename(&new, &self.file));
            if let Err(error) = written {
                eprintln!("{}: {error}", self.file.display());
            }
        }
    }
}
