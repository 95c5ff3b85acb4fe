//! The state of the program: the desk, the user's seat, and the screen.
//!
//! `signing_in.rs` has the calls before there is a seat, `seated.rs` those of a seat.

mod seated;
mod signing_in;

use std::time::Duration;

use eframe::egui::{self, Context, Ui, ViewportCommand};
use gatepost_desk::{Desk, DeskError, Seat, SeatState};

use crate::arguments::{Arguments, Vault};
use crate::opening::{self, Opened, Start};
use crate::reporting::Reporting;
use crate::screen::{Action, Screen, sign_in, trouble};
use crate::work::Work;

/// How often the program asks whether the seat is locked, or was revoked elsewhere.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long the keyring's own window may wait for its password.
const PROMPT_MAX: Duration = Duration::from_secs(120);

pub(crate) struct Program {
    arguments: Arguments,
    ctx: Context,
    desk: Option<Desk>,
    seat: Option<Seat>,
    screen: Screen,
    title: &'static str,
    work: Work<Program>,
    /// How often the user wanted something.
    actions: u64,
    reporting: Option<Reporting>,
}

impl Program {
    pub(crate) fn new(ctx: &Context, arguments: Arguments) -> Self {
        let reporting = arguments.state.clone().map(Reporting::to);
        let mut program = Self {
            arguments,
            ctx: ctx.clone(),
            desk: None,
            seat: None,
            screen: Screen::Starting,
            title: "",
            work: Work::none(),
            actions: 0,
            reporting,
        };
        program.open();
        program
    }

    /// Runs `call` on another thread, and `finish` with its outcome on this one.
    fn start<T: Send + 'static>(
        &mut self,
        call: impl FnOnce() -> T + Send + 'static,
        finish: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        let ctx = self.ctx.clone();
        self.work.start(&ctx, call, finish);
    }

    fn open(&mut self) {
        let arguments = self.arguments.clone();
        self.start(move || opening::open(&arguments), Self::opened);
    }

    fn opened(&mut self, opened: Result<Opened, DeskError>) {
        match opened {
            Ok(Opened { desk, start }) => {
                self.desk = Some(desk);
                match start {
                    Start::FirstAdministrator => {
                        self.screen = Screen::FirstAdministrator(Default::default());
                    }
                    Start::SignIn => self.show_sign_in(None),
                    Start::Resumed(seat) => self.seated(seat),
                }
            }
            Err(error) => self.show_trouble(&error),
        }
    }

    fn show_trouble(&mut self, error: &DeskError) {
        let vault = match error {
            DeskError::Vault(gatepost_desk::VaultError::Locked) => Some(trouble::Vault::Locked),
            DeskError::Vault(_) => Some(trouble::Vault::Absent),
            _ => None,
        };
        let problem = match vault {
            Some(trouble::Vault::Locked) => "Your keyring is locked.".into(),
            _ => sentence(error.to_string()),
        };
        self.screen = Screen::Trouble(trouble::Form { problem: Some(problem), vault });
    }

    /// To the sign-in. A notice says what came before.
    fn show_sign_in(&mut self, notice: Option<&str>) {
        let notice = notice.map(str::to_owned);
        self.screen = Screen::SignIn(sign_in::Form { notice, ..Default::default() });
    }

    /// Says on the screen why a call was refused or failed. If the session is over, so is the seat.
    fn report(&mut self, error: &DeskError) {
        match error {
            DeskError::Ended => self.ended(),
            DeskError::Locked => self.show_lock(),
            error => self.say(error.to_string()),
        }
    }

    fn say(&mut self, problem: impl Into<String>) {
        if let Some(place) = self.screen.problem() {
            *place = Some(sentence(problem.into()));
        }
    }

    fn act(&mut self, action: Action) {
        self.actions += 1;
        if let Some(place) = self.screen.problem() {
            *place = None;
        }
        match action {
            Action::Retry => self.open(),
            Action::UnlockVault => self.unlock_vault(),
            Action::GoOnInMemory => {
                self.arguments.vault = Vault::Memory;
                self.open();
            }
            Action::CreateFirstAdministrator => self.create_first_administrator(),
            Action::SignIn => self.sign_in(),
            Action::ChangePassword => self.change_password(),
            Action::EnterCode => self.enter_code(),
            Action::AddSecondFactor => self.add_second_factor(),
            Action::ConfirmSecondFactor => self.confirm_second_factor(),
            Action::GiveUp => self.show_sign_in(None),
            Action::ShowHome => self.show_home(None),
            Action::ShowSessions => self.show_sessions(None),
            Action::Revoke(session) => self.revoke(session),
            Action::RevokeOthers => self.revoke_others(),
            Action::ShowPeople => self.show_people(None),
            Action::AddPerson => self.add_person(),
            Action::Lock => self.lock(),
            Action::Unlock => self.unlock(),
            Action::SignOut => self.sign_out(),
            Action::SwitchUser => {
                let form = sign_in::Form { can_go_back: true, ..Default::default() };
                self.screen = Screen::SignIn(form);
            }
        }
    }

    /// Follows what became of the seat: locked by idleness, or revoked elsewhere.
    fn follow(&mut self, ctx: &Context) {
        let Some(seat) = &self.seat else { return };
        ctx.request_repaint_after(ASK_EVERY);
        // A call that runs reports by itself.
        if self.work.is_running() {
            return;
        }
        let was_used = ctx.input(|input| !input.events.is_empty());
        // Another user may sign in over a seat that is locked, in each step of it.
        let is_sign_in = match &self.screen {
            Screen::SignIn(_) | Screen::NewPassword(_) | Screen::Code(_) => true,
            Screen::Enrol(form) => form.step.is_some(),
            _ => false,
        };
        if was_used && !is_sign_in {
            seat.touch();
        }
        match seat.state() {
            Ok(SeatState::Ended) => self.ended(),
            Ok(SeatState::Locked) if !matches!(self.screen, Screen::Locked(_)) && !is_sign_in => {
                self.show_lock();
            }
            // An error says nothing of the seat: it stays, and the next second asks again.
            _ => {}
        }
    }
}

/// An error as a person reads it: the library's are for logs, with a small letter and no full stop.
fn sentence(mut problem: String) -> String {
    if let Some(first) = problem.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !problem.ends_with('.') {
        problem.push('.');
    }
    problem
}

impl eframe::App for Program {
    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        if let Some(finish) = self.work.finished() {
            finish(self);
        }
        self.follow(&ctx);
        let is_working = self.work.is_running();
        if let Some(action) = self.screen.show(ui, is_working).filter(|_| !is_working) {
            self.act(action);
        }
        if is_working {
            ctx.set_cursor_icon(egui::CursorIcon::Progress);
        }
        if self.title != self.screen.title() {
            self.title = self.screen.title();
            ctx.send_viewport_cmd(ViewportCommand::Title(format!("Till – {}", self.title)));
            // The first field of the new screen takes the focus.
            if let Some(focused) = ctx.memory(|memory| memory.focused()) {
                ctx.memory_mut(|memory| memory.surrender_focus(focused));
            }
        }
        if let Some(reporting) = &mut self.reporting {
            let problem = self.screen.problem().and_then(|problem| problem.as_deref());
            let shown = (self.title, problem);
            reporting.frame(&ctx, self.work.is_running(), self.actions, shown);
        }
    }
}
