//! The list of operations: every public call that writes, what it records and what it revokes.
//!
//! Plain constants without a dependency, because the suite and the fault bench compile this file
//! alike. A new operation gets one row here; every test that needs more of it then says so.

/// One public call, or one case of it where its effect depends on an argument or on the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// `Type::function`, and the case in brackets.
    pub(crate) name: &'static str,
    /// The row that it leaves in the audit log, by its name there; empty if it leaves none.
    pub(crate) event: &'static str,
    /// The tables whose rows it reports in the change log, one word for each row. The row of the
    /// user for the keys that were made from a session or key is not listed.
    pub(crate) changes: &'static [&'static str],
    /// The keys that were made from them are revoked too, for good.
    pub(crate) sessions: Reach,
    /// The same is true of these: suspended with a suspended one.
    pub(crate) keys: Reach,
    /// Whether the API keys are only suspended, until the cause is gone.
    pub(crate) suspends: bool,
    /// Whether all one-time tokens and pending steps of the same user, place or store are revoked.
    /// The one that is used is used up in any case.
    pub(crate) tokens: bool,
    /// Of which devices of the user the trust is revoked.
    pub(crate) trust: Trust,
    /// Its row in the manual's table; empty for a call that the table does not mention.
    pub(crate) row: &'static str,
}

/// How far a revocation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Nothing,
    /// The one that is named, presented or replaced.
    One,
    /// The one that is presented, which goes on with a new token.
    OneRenewed,
    /// The one that is named, once the overlap is over.
    OneLater,
    /// Every other one of its user.
    Others,
    /// All of the user. The session presented goes on, with a new token.
    Renewed,
    User,
    Branch,
    Organisation,
    Store,
}

/// The devices whose trust is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Kept,
    /// That of the device that is named.
    One,
    /// That of all devices of the user.
    All,
}

/// How a session or API key is related to what an operation is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    Itself,
    SameUser,
    SameBranch,
    SameOrganisation,
    Elsewhere,
}

impl Reach {
    /// Whether it covers what is so related, as soon as the call returns.
    pub(crate) fn covers(self, relation: Relation) -> bool {
        match self {
            Self::Nothing | Self::OneLater => false,
            Self::One | Self::OneRenewed => relation == Relation::Itself,
            Self::Others => relation == Relation::SameUser,
            Self::Renewed | Self::User => relation <= Relation::SameUser,
            Self::Branch => relation <= Relation::SameBranch,
            Self::Organisation => relation <= Relation::SameOrganisation,
            Self::Store => true,
        }
    }
}

impl Operation {
    /// `Type::function`.
    pub(crate) fn call(&self) -> &'static str {
        self.name.split('(').next().unwrap_or(self.name)
    }

    /// The rows that it leaves in the audit log: before its own, one for a session that makes way,
    /// a factor that is enrolled or trust that ends.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        let replaced = (self.row == REPLACED).then_some("session.replaced");
        let enrolled = self.name.ends_with("(enrolment)").then_some("second_factor.added");
        let distrusted = (self.row == WRONG_CODE).then_some("user.device_trust_revoked");
        replaced
            .into_iter()
            .chain(enrolled)
            .chain(distrusted)
            .chain(Some(self.event).filter(|event| !event.is_empty()))
            .collect()
    }

    /// How far it reaches among tickets: they end with their session, and with the one-time tokens
    /// of its user.
    pub(crate) fn tickets(&self) -> Reach {
        match (self.tokens, self.sessions) {
            (true, Reach::Nothing | Reach::Others) => Reach::User,
            (_, Reach::OneRenewed) => Reach::Nothing,
            (_, reach) => reach,
        }
    }

    /// What it reports and how far it reaches. A verify cannot distinguish operations that are
    /// alike in this.
    pub(crate) fn effect(&self) -> (Vec<&'static str>, Reach, Reach, bool) {
        (self.kinds(), self.sessions, self.keys, self.suspends)
    }

    /// What it reports; of rows of one kind that follow each other, the first. Another process
    /// learns nothing more from the second.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = self.changes.to_vec();
        kinds.dedup();
        kinds
    }

    const fn reports(self, changes: &'static [&'static str]) -> Self {
        Self { changes, ..self }
    }

    const fn sessions(self, sessions: Reach) -> Self {
        Self { sessions, ..self }
    }

    const fn keys(self, keys: Reach) -> Self {
        Self { keys, ..self }
    }

    const fn suspends(self, keys: Reach) -> Self {
        Self { keys, suspends: true, ..self }
    }

    const fn tokens(self) -> Self {
        Self { tokens: true, ..self }
    }

    const fn trust(self) -> Self {
        Self { trust: Trust::All, ..self }
    }

    const fn trust_of_device(self) -> Self {
        Self { trust: Trust::One, ..self }
    }
}

const fn op(row: &'static str, name: &'static str, event: &'static str) -> Operation {
    Operation {
        name,
        event,
        changes: &[],
        sessions: Reach::Nothing,
        keys: Reach::Nothing,
        suspends: false,
        tokens: false,
        trust: Trust::Kept,
        row,
    }
}

const ONE: &str = "log out, or revoke one session or the others";
const ALL: &str = "revoke all sessions of a user, branch, organisation or store";
const REPLACED: &str = "new login on the device of a session, device takeover, session limit";
const FORGOTTEN: &str = "device forgotten";
const TRUST: &str = "trust of all devices of a user revoked";
const RECOVERED: &str = "recovery code used at a login, or factor enrolled at one";
const OWN_PASSWORD: &str = "own password change";
const PASSWORD: &str = "administrator sets or removes a password, or marks it compromised";
const DEMANDED: &str = "administrator demands a change at the next login";
const STATUS: &str = "user locked, disabled or made pending";
const PLACE: &str = "branch or organisation disabled";
const REACTIVATED: &str = "user, branch or organisation made active again";
const DELETED: &str = "user deleted";
const EMPTY: &str = "empty branch or organisation deleted";
const CONTACT: &str = "username or e-mail address changed";
const CONFIRMED: &str = "account confirmed";
const INVITED: &str = "invitation accepted";
const RESET: &str = "password reset by one-time token";
const FACTOR: &str =
    "second factor added, replaced or removed, recovery code used, or codes reissued";
const FACTOR_BY_OTHER: &str = "administrator resets or imports a second factor";
const TOKENS: &str = "all one-time tokens of a user revoked";
const FAILED: &str = "failed attempts, and the wait that follows them";
const WRONG_CODE: &str = "a wrong code beside the right password";
const MOVED: &str = "user or branch moved, user restored";
const KEY: &str = "API key revoked or rotated";
const RESTORED: &str = "backup restored";
const RIGHTS: &str = "privileges changed";
const NONE: &str = "";

#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    op(ONE, "Store::log_out", "session.logged_out").reports(&["session"]).sessions(Reach::One),
    op(ONE, "Sessions::revoke", "session.revoked").reports(&["session"]).sessions(Reach::One),
    op(ONE, "Sessions::revoke_own", "session.revoked").reports(&["session"]).sessions(Reach::One),
    op(ONE, "Sessions::revoke_others", "session.others_revoked")
        .reports(&["user", "session"]).sessions(Reach::Others),

    op(ALL, "Sessions::revoke_all(user)", "user.sessions_revoked")
        .reports(&["user"]).sessions(Reach::User).tokens(),
    op(ALL, "Sessions::revoke_all(branch)", "branch.sessions_revoked")
        .reports(&["branch"]).sessions(Reach::Branch).tokens(),
    op(ALL, "Sessions::revoke_all(organisation)", "organisation.sessions_revoked")
        .reports(&["organisation"]).sessions(Reach::Organisation).tokens(),
    op(ALL, "Sessions::revoke_all(store)", "store.sessions_revoked")
        .reports(&["store"]).sessions(Reach::Store).tokens(),

    op(REPLACED, "Store::log_in(on the device of a session)", "login.granted")
        .reports(&["session"]).sessions(Reach::One),
    op(REPLACED, "Store::log_in(device takeover)", "login.granted")
        .reports(&["session"]).sessions(Reach::One),
    op(REPLACED, "Store::log_in(session limit)", "login.granted")
        .reports(&["session"]).sessions(Reach::One),
    op(REPLACED, "Sessions::open(on the device of a session)", "session.opened")
        .reports(&["session"]).sessions(Reach::One),
    op(REPLACED, "Sessions::open(device takeover)", "session.opened")
        .reports(&["session"]).sessions(Reach::One),
    op(REPLACED, "Sessions::open(session limit)", "session.opened")
        .reports(&["session"]).sessions(Reach::One),

    op(FORGOTTEN, "Devices::forget", "device.forgotten")
        .reports(&["session"]).sessions(Reach::One).trust_of_device(),
    op(FORGOTTEN, "Devices::forget_listed", "device.forgotten")
        .reports(&["session"]).sessions(Reach::One).trust_of_device(),

    op(TRUST, "Devices::revoke_trust", "user.device_trust_revoked").reports(&["user"]).trust(),

    op(RECOVERED, "Store::log_in(recovery code)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(RECOVERED, "Store::complete_login(recovery code)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(RECOVERED, "Store::complete_login(enrolment)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),

    op(OWN_PASSWORD, "Store::change_password", "password.changed")
        .reports(&["user", "session"]).sessions(Reach::Renewed).tokens().trust(),
    op(OWN_PASSWORD, "Store::change_password_and_revoke_keys", "password.changed")
        .reports(&["user", "session"]).sessions(Reach::Renewed).keys(Reach::User).tokens().trust(),
    op(OWN_PASSWORD, "Store::log_in(new password)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(OWN_PASSWORD, "Store::log_in(new password, keys revoked)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(OWN_PASSWORD, "Store::log_in(temporary password)", "login.granted")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),

    op(PASSWORD, "Users::set_password", "password.set")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(PASSWORD, "Users::set_password_hash", "password.set")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(PASSWORD, "Users::remove_password", "password.removed")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(PASSWORD, "Users::mark_compromised", "password.marked_compromised")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),

    op(DEMANDED, "Users::require_password_change(RevokeSessions::Keep)",
        "password.change_required"),
    op(DEMANDED, "Users::require_password_change(RevokeSessions::All)", "password.change_required")
        .reports(&["user"]).sessions(Reach::User),

    op(STATUS, "Users::set_status(Locked)", "user.locked")
        .reports(&["user"]).sessions(Reach::User).suspends(Reach::User).tokens().trust(),
    op(STATUS, "Users::set_status(Disabled)", "user.disabled")
        .reports(&["user"]).sessions(Reach::User).suspends(Reach::User).tokens().trust(),
    op(STATUS, "Users::set_status(Pending)", "user.made_pending")
        .reports(&["user"]).sessions(Reach::User).suspends(Reach::User).tokens().trust(),
    op(PLACE, "Branches::set_active(false)", "branch.deactivated")
        .reports(&["branch"]).sessions(Reach::Branch).suspends(Reach::Branch).tokens(),
    op(PLACE, "Organisations::set_active(false)", "organisation.deactivated")
        .reports(&["organisation"]).sessions(Reach::Organisation)
        .suspends(Reach::Organisation).tokens(),
    op(REACTIVATED, "Users::set_status(Active)", "user.activated").reports(&["user"]),
    op(REACTIVATED, "Users::activate_locked", "user.activated").reports(&["user"]),
    op(REACTIVATED, "Branches::set_active(true)", "branch.activated").reports(&["branch"]),
    op(REACTIVATED, "Organisations::set_active(true)", "organisation.activated")
        .reports(&["organisation"]),

    op(DELETED, "Users::delete", "user.deleted")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(EMPTY, "Branches::delete", "branch.deleted").reports(&["branch"]),
    op(EMPTY, "Organisations::delete", "organisation.deleted").reports(&["organisation"]),

    op(CONTACT, "Users::rename", "user.renamed").reports(&["user"]).tokens(),
    op(CONTACT, "Users::set_email", "user.email_changed").reports(&["user"]).tokens(),
    op(CONFIRMED, "Users::confirm(first)", "user.confirmed")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(CONFIRMED, "Users::confirm_and_remove_password(first)", "user.confirmed")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(CONFIRMED, "OneTimeTokens::confirm_email(first)", "user.confirmed")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(CONFIRMED, "Users::confirm(again)", "user.confirmed").reports(&["user"]).tokens(),
    op(CONFIRMED, "OneTimeTokens::confirm_email(again)", "user.confirmed")
        .reports(&["user"]).tokens(),
    op(INVITED, "OneTimeTokens::accept_invitation", "user.invitation_accepted")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(RESET, "OneTimeTokens::reset_password(RevokeApiKeys::Keep)", "password.reset")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(RESET, "OneTimeTokens::reset_password(RevokeApiKeys::All)", "password.reset")
        .reports(&["user"]).sessions(Reach::User).keys(Reach::User).tokens().trust(),
    op(TOKENS, "OneTimeTokens::revoke_all", "user.one_time_tokens_revoked")
        .reports(&["user"]).tokens(),

    op(FACTOR, "SecondFactors::confirm", "second_factor.added")
        .reports(&["user", "session"]).sessions(Reach::Others).tokens().trust(),
    op(FACTOR, "SecondFactors::confirm(replacement)", "second_factor.replaced")
        .reports(&["user", "session"]).sessions(Reach::Others).tokens().trust(),
    op(FACTOR, "SecondFactors::remove", "second_factor.removed")
        .reports(&["user", "session", "session"]).sessions(Reach::Others).tokens().trust(),
    op(FACTOR, "SecondFactors::replace(recovery code)", "second_factor.enrolment_begun")
        .reports(&["user", "session"]).sessions(Reach::Others).tokens().trust(),
    op(FACTOR, "SecondFactors::reissue_recovery_codes", "second_factor.codes_reissued")
        .reports(&["user", "session"]).sessions(Reach::Others).tokens().trust(),
    op(FACTOR_BY_OTHER, "SecondFactors::reset", "second_factor.reset")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(FACTOR_BY_OTHER, "SecondFactors::reset_by", "second_factor.reset")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),
    op(FACTOR_BY_OTHER, "SecondFactors::import", "second_factor.imported")
        .reports(&["user"]).sessions(Reach::User).tokens().trust(),

    op(FAILED, "Store::log_in(refused)", "login.refused"),
    op(FAILED, "Store::log_in(throttled)", ""),
    op(FAILED, "Store::change_password(refused)", "password.change_refused"),
    op(FAILED, "Store::complete_login(refused)", "login.refused"),
    op(FAILED, "Store::prove(refused)", "session.proof_refused"),
    op(FAILED, "SecondFactors::remove(refused)", "second_factor.refused"),

    op(WRONG_CODE, "Store::log_in(wrong code)", "login.refused").trust_of_device(),
    op(WRONG_CODE, "Store::complete_login(wrong code)", "login.refused").trust_of_device(),

    op(MOVED, "Users::move_to", "user.moved").reports(&["user"]),
    op(MOVED, "Branches::move_to", "branch.moved").reports(&["branch"]),
    op(MOVED, "Users::restore", "user.restored").reports(&["user"]),
    op(MOVED, "Users::move_to(place revoked since)", "user.moved")
        .reports(&["user"]).sessions(Reach::User),
    op(MOVED, "Branches::move_to(place revoked since)", "branch.moved")
        .reports(&["branch"]).sessions(Reach::Branch),

    op(KEY, "ApiKeys::revoke", "api_key.revoked").reports(&["api_key"]).keys(Reach::One),
    op(KEY, "ApiKeys::rotate(no overlap)", "api_key.rotated")
        .reports(&["api_key"]).keys(Reach::One),
    op(KEY, "ApiKeys::rotate(overlap)", "api_key.rotated")
        .reports(&["api_key"]).keys(Reach::OneLater),
    op(KEY, "ApiKeys::revoke_all", "user.api_keys_revoked")
        .reports(&["user"]).keys(Reach::User),

    op(RESTORED, "Store::restore", "store.restored")
        .reports(&["store"]).sessions(Reach::Store).keys(Reach::Store).tokens().trust(),

    op(RIGHTS, "Users::set_privileges", "user.privileges_changed").reports(&["user"]),
    op(RIGHTS, "Users::change_privileges", "user.privileges_changed").reports(&["user"]),

    op(NONE, "Store::open", ""),
    op(NONE, "Store::close", ""),
    op(NONE, "Store::change_options", "store.options_changed"),
    op(NONE, "Store::backup", "store.backed_up"),
    op(NONE, "Store::backup(refused)", "store.backup_failed"),
    op(NONE, "Store::import", "user.created"),
    op(NONE, "Store::maintain", "store.maintained"),
    op(NONE, "Store::rekey", "store.rekeyed"),
    op(NONE, "Store::rekey(no hash to seal)", "store.key_changed"),
    op(NONE, "Store::verify", ""),
    op(NONE, "Store::may", ""),
    op(NONE, "Store::require_fresh", ""),
    op(NONE, "Store::log_in", "login.granted"),
    op(NONE, "Store::log_in(pending)", "login.pending"),
    op(NONE, "Store::complete_login", "login.granted"),
    op(NONE, "SecondFactors::enrol_at_login", "second_factor.enrolment_begun"),
    op(NONE, "Store::prove", "session.proved").reports(&["session"]).sessions(Reach::OneRenewed),
    op(NONE, "Sessions::open", "session.opened"),
    op(NONE, "Sessions::impersonate", "session.impersonated"),
    op(NONE, "Store::renew", "session.renewed").reports(&["session"]),
    op(NONE, "Sessions::set_label", "session.labelled"),
    op(NONE, "Sessions::set_data_json", "session.data_set"),
    op(NONE, "Sessions::set_data", "session.data_set"),
    op(NONE, "Users::create", "user.created"),
    op(NONE, "Users::update", "user.updated"),
    op(NONE, "Users::unlock", "attempts.unlocked"),
    op(NONE, "Users::erase", "user.erased"),
    op(NONE, "ApiKeys::issue", "api_key.issued"),
    op(NONE, "ApiKeys::attenuate(session)", "api_key.attenuated"),
    op(NONE, "ApiKeys::attenuate(API key)", "api_key.attenuated"),
    op(NONE, "OneTimeTokens::issue", "one_time_token.issued"),
    op(NONE, "OneTimeTokens::issue_first_administrator", "one_time_token.issued"),
    op(NONE, "OneTimeTokens::create_first_administrator", "user.first_administrator_created")
        .reports(&["user of another"]),
    op(NONE, "OneTimeTokens::request_password_reset", "password.reset_requested"),
    op(NONE, "OneTimeTokens::reset_password(refused)", "one_time_token.refused"),
    op(NONE, "SecondFactors::enrol", "second_factor.enrolment_begun"),
    op(NONE, "SecondFactors::replace", "second_factor.enrolment_begun"),
    op(NONE, "Tickets::mint", ""),
    op(NONE, "Users::grant_administration", "user.administration_granted"),
    op(NONE, "Users::withdraw_administration", "user.administration_withdrawn"),
    op(NONE, "ExternalIdentities::link", "external_identity.linked"),
    op(NONE, "ExternalIdentities::unlink", "external_identity.unlinked"),
    op(NONE, "Organisations::create", "organisation.created"),
    op(NONE, "Organisations::rename", "organisation.renamed"),
    op(NONE, "Branches::create", "branch.created"),
    op(NONE, "Branches::rename", "branch.renamed"),
    op(NONE, "Settings::set", "configuration.set"),
    op(NONE, "Settings::set_if", "configuration.set"),
    op(NONE, "Settings::remove", "configuration.removed"),
    op(NONE, "Settings::set_public(true)", "configuration.made_public"),
    op(NONE, "Settings::set_public(false)", "configuration.made_private"),
    op(NONE, "CreditBook::set", "credits.set"),
    op(NONE, "CreditBook::set(none)", "credits.removed"),
    op(NONE, "CreditBook::add", "credits.added"),
    op(NONE, "CreditBook::spend", "credits.spent"),
    op(NONE, "Audit::record", "report.printed"),
    op(NONE, "Audit::add_consumer", "audit.consumer_added"),
    op(NONE, "Audit::acknowledge", ""),
    op(NONE, "Audit::remove_consumer", "audit.consumer_removed"),
];

/// The operation of that name.
#[track_caller]
pub(crate) fn operation(name: &str) -> &'static Operation {
    let found = OPERATIONS.iter().find(|operation| operation.name == name);
    found.unwrap_or_else(|| panic!("no operation {name} in tests/it/operations/list.rs"))
}
