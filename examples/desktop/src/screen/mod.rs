//! The screens. A screen draws its form and answers with what the user wants; it makes no call.

pub(crate) mod code;
pub(crate) mod enrol;
pub(crate) mod first;
pub(crate) mod home;
pub(crate) mod locked;
pub(crate) mod new_password;
pub(crate) mod people;
pub(crate) mod recovery_codes;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod trouble;

use eframe::egui::Ui;
use gatepost::SessionId;

use crate::parts;

/// The screen that the window shows, with what was typed on it.
pub(crate) enum Screen {
    /// The desk is being opened.
    Starting,
    /// The desk could not be opened.
    Trouble(trouble::Form),
    FirstAdministrator(first::Form),
    SignIn(sign_in::Form),
    NewPassword(new_password::Form),
    Code(code::Form),
    Enrol(enrol::Form),
    RecoveryCodes(recovery_codes::Form),
    Home(home::Form),
    Sessions(sessions::Form),
    People(people::Form),
    Locked(locked::Form),
}

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open the desk again.
    Retry,
    /// Let the Secret Service ask for its password, and open the desk again.
    UnlockVault,
    /// Go on without a saved sign-in.
    GoOnInMemory,
    CreateFirstAdministrator,
    SignIn,
    ChangePassword,
    EnterCode,
    /// Show the form of a new second factor.
    AddSecondFactor,
    ConfirmSecondFactor,
    /// To the sign-in, from a step of it.
    GiveUp,
    ShowHome,
    ShowSessions,
    Revoke(SessionId),
    RevokeOthers,
    ShowPeople,
    AddPerson,
    Lock,
    Unlock,
    SignOut,
    /// To the sign-in; the other user's sign-in takes the machine over.
    SwitchUser,
}

impl Screen {
    /// The title of the window.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Trouble(_) => "Trouble",
            Self::FirstAdministrator(_) => "First start",
            Self::SignIn(_) => "Sign in",
            Self::NewPassword(_) => "New password",
            Self::Code(_) => "Code",
            Self::Enrol(_) => "Second factor",
            Self::RecoveryCodes(_) => "Recovery codes",
            Self::Home(_) => "Home",
            Self::Sessions(_) => "My sessions",
            Self::People(_) => "People",
            Self::Locked(_) => "Locked",
        }
    }

    /// Draws it; `is_working` while a call runs, when nothing can be typed or clicked.
    pub(crate) fn show(&mut self, ui: &mut Ui, is_working: bool) -> Option<Action> {
        ui.add_enabled_ui(!is_working, |ui| match self {
            Self::Starting => {
                parts::card(ui, "Till", |ui| parts::hint(ui, "Opening the store…"));
                None
            }
            Self::Trouble(form) => trouble::show(ui, form),
            Self::FirstAdministrator(form) => first::show(ui, form),
            Self::SignIn(form) => sign_in::show(ui, form),
            Self::NewPassword(form) => new_password::show(ui, form),
            Self::Code(form) => code::show(ui, form),
            Self::Enrol(form) => enrol::show(ui, form),
            Self::RecoveryCodes(form) => recovery_codes::show(ui, form),
            Self::Home(form) => home::show(ui, form),
            Self::Sessions(form) => sessions::show(ui, form),
            Self::People(form) => people::show(ui, form),
            Self::Locked(form) => locked::show(ui, form),
        })
        .inner
    }

    /// Where the screen says why a call was refused or failed.
    pub(crate) fn problem(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::Starting | Self::RecoveryCodes(_) => None,
            Self::Trouble(form) => Some(&mut form.problem),
            Self::FirstAdministrator(form) => Some(&mut form.problem),
            Self::SignIn(form) => Some(&mut form.problem),
            Self::NewPassword(form) => Some(&mut form.problem),
            Self::Code(form) => Some(&mut form.problem),
            Self::Enrol(form) => Some(&mut form.problem),
            Self::Home(form) => Some(&mut form.problem),
            Self::Sessions(form) => Some(&mut form.problem),
            Self::People(form) => Some(&mut form.problem),
            Self::Locked(form) => Some(&mut form.problem),
        }
    }
}
