//! A desktop program to start from: a till whose window signs its users in.
//!
//! `main.rs` reads the arguments and opens the window. `program.rs` has the state of the program
//! and runs the calls. `screen/` draws, and returns what the user wants. `README.md` says more.

mod arguments;
mod opening;
mod parts;
mod program;
mod qr;
mod reporting;
mod screen;
mod theme;
mod work;

use eframe::egui::{Theme, ViewportBuilder};

use crate::arguments::Arguments;
use crate::program::Program;

fn main() -> eframe::Result {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", arguments::HELP);
            std::process::exit(2);
        }
    };
    let viewport = ViewportBuilder::default().with_inner_size([760.0, 640.0]).with_title("Till");
    let options = eframe::NativeOptions { viewport, ..Default::default() };
    eframe::run_native(
        "com.example.till",
        options,
        Box::new(move |creation| {
            let ctx = &creation.egui_ctx;
            theme::set(ctx);
            if let Some(is_dark) = arguments.is_dark {
                ctx.set_theme(if is_dark { Theme::Dark } else { Theme::Light });
            }
            Ok(Box::new(Program::new(ctx, arguments)))
        }),
    )
}
