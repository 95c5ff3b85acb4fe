//! Replies, granted and refused, in one shape.

use serde::{Serialize, Serializer};

use super::read::read_in_any_case;
use crate::flow::login::{LoginAnswer, LoginReply, Profile};
use crate::flow::password_change::PasswordChange;
use crate::record::branch::Branch;
use crate::record::configuration::Setting;
use crate::record::credit::Credits;
use crate::record::organisation::Organisation;
use crate::record::user::User;
use crate::store::Service;
use crate::value::facts::UserStatus;
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::refusal::Refusal;
use crate::value::secret::Secret;

/// What a success says.
const DONE: &str = "Operation executed successfully.";

/// The reply to a login or to a change of the own password, granted or refused.
///
/// Its JSON holds the session's token: send it to the client over a protected connection and log
/// it nowhere. `Debug` does not show the token.
///
/// ```
/// use gatepost::{DeviceId, LogIn, NewUser, Options, Password, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
/// let request = LogIn::new("ada", Password::from("till and tally"), DeviceId::new("till-1")?);
///
/// let wire = store.log_in(request)?.into_wire(&store.service());
/// let json = serde_json::to_string(&wire)?;
/// assert!(json.starts_with(r#"{"Success":true,"Message":"Operation executed successfully.""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireLoginReply {
    /// Whether a session was opened, or renewed.
    pub success: bool,
    /// One sentence that may be shown.
    pub message: String,
    /// The secret token, not the handle; none if refused.
    #[serde(serialize_with = "exposed")]
    pub session_id: Option<Secret>,
    /// The public configuration in force for the user, by key.
    pub configuration: Vec<WireSetting>,
    /// The user.
    pub user: Option<WireUser>,
    /// The user's branch.
    pub branch: Option<WireBranch>,
    /// The branch's organisation.
    pub organisation: Option<WireOrganisation>,
    /// Refused: the user may not use the desktop client.
    pub desktop_client_denied: bool,
    /// Refused: the client speaks an API version that is not served.
    pub incompatible_service_version: bool,
    /// Refused: the account is locked.
    pub locked_user_account: bool,
    /// Refused: a new password must be given with the login.
    pub new_password_required: bool,
    /// The credits that remain; none if neither count is kept.
    pub remaining_credits: Option<WireCredits>,
    /// The newest API version that the service serves.
    pub server_api_version: String,
    /// The name of the service.
    pub vpe_name: String,
}

/// A configuration key with its value, always text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireSetting {
    /// The key, in the case in which it was first written.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireUser {
    /// The id.
    pub id: UserId,
    /// The name to log in with.
    pub username: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The first name.
    pub firstname: Option<String>,
    /// The last name.
    pub lastname: Option<String>,
    /// What there is to say about the user.
    pub description: Option<String>,
    /// The branch, if the user is in one.
    pub branch_id: Option<BranchId>,
    /// Its name.
    pub branch_name: Option<String>,
    /// The names of the privileges, in order.
    pub privileges: Vec<String>,
    /// Whether the next login must set a new password.
    pub set_initial_password: bool,
    /// Failed attempts since the last successful login.
    pub failed_password_attempt_count: i64,
    /// Whether either kind of lock holds: an administrator's, or that of failed attempts.
    pub is_locked_out: bool,
    /// Whether the status is active.
    pub active: bool,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireBranch {
    /// The id.
    pub id: BranchId,
    /// The name.
    pub name: String,
    /// The organisation, if it belongs to one.
    pub organisation_id: Option<OrganisationId>,
    /// Whether its users may log in.
    pub active: bool,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireOrganisation {
    /// The id.
    pub id: OrganisationId,
    /// The name.
    pub name: String,
    /// Whether its users may log in.
    pub active: bool,
}

/// The credits that remain around a user; none where nothing is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct WireCredits {
    /// Of the branch.
    pub branch: Option<u64>,
    /// Of the organisation.
    pub organisation: Option<u64>,
}

impl LoginReply {
    /// The wire shape, which holds the token.
    #[must_use]
    pub fn into_wire(self) -> WireLoginReply {
        let (session, profile) = self.into_parts();
        granted(session.token, profile)
    }
}

impl LoginAnswer {
    /// The wire shape of either answer; `service` names itself where the login was refused.
    #[must_use]
    pub fn into_wire(self, service: &Service) -> WireLoginReply {
        match self {
            Self::Granted(reply) => reply.into_wire(),
            Self::Refused(refusal) => refusal.into_wire(service),
        }
    }
}

impl PasswordChange {
    /// The wire shape of either answer; `service` names itself where the change was refused.
    #[must_use]
    pub fn into_wire(self, service: &Service) -> WireLoginReply {
        match self {
            Self::Changed(reply) => reply.into_wire(),
            Self::Refused(refusal) => refusal.into_wire(service),
        }
    }
}

impl Refusal {
    /// The wire shape: the sentence, the matching flag if there is one, nothing about the user.
    #[must_use]
    pub fn into_wire(self, service: &Service) -> WireLoginReply {
        WireLoginReply {
            success: false,
            message: self.message().to_owned(),
            desktop_client_denied: self == Self::DesktopClientDenied,
            incompatible_service_version: self == Self::IncompatibleApiVersion,
            locked_user_account: matches!(self, Self::AccountLocked { .. }),
            new_password_required: self == Self::NewPasswordRequired,
            ..empty(service)
        }
    }
}

fn granted(token: Secret, profile: Profile) -> WireLoginReply {
    WireLoginReply {
        success: true,
        message: DONE.to_owned(),
        session_id: Some(token),
        configuration: profile.configuration.iter().map(WireSetting::from).collect(),
        user: Some(wire_user(profile.user, profile.branch.as_ref())),
        branch: profile.branch.map(Into::into),
        organisation: profile.organisation.map(Into::into),
        remaining_credits: profile.credits.map(Into::into),
        ..empty(&profile.service)
    }
}

fn empty(service: &Service) -> WireLoginReply {
    WireLoginReply {
        success: false,
        message: String::new(),
        session_id: None,
        configuration: Vec::new(),
        user: None,
        branch: None,
        organisation: None,
        desktop_client_denied: false,
        incompatible_service_version: false,
        locked_user_account: false,
        new_password_required: false,
        remaining_credits: None,
        server_api_version: service.api_version.to_string(),
        vpe_name: service.name.clone(),
    }
}

fn wire_user(user: User, branch: Option<&Branch>) -> WireUser {
    WireUser {
        id: user.id,
        username: user.username,
        email: user.email,
        firstname: user.first_name,
        lastname: user.last_name,
        description: user.description,
        branch_id: user.branch,
        branch_name: branch.map(|branch| branch.name.clone()),
        privileges: user.privileges,
        set_initial_password: user.set_initial_password,
        failed_password_attempt_count: user.failed_password_attempt_count,
        // A lock that had passed when the user was read is not there any more.
        is_locked_out: user.status == UserStatus::Locked || user.locked_out_until.is_some(),
        active: user.status == UserStatus::Active,
    }
}

impl From<&Setting> for WireSetting {
    fn from(setting: &Setting) -> Self {
        Self { key: setting.key.clone(), value: setting.value.clone() }
    }
}

impl From<Branch> for WireBranch {
    fn from(branch: Branch) -> Self {
        let Branch { id, name, organisation, active, .. } = branch;
        Self { id, name, organisation_id: organisation, active }
    }
}

impl From<Organisation> for WireOrganisation {
    fn from(organisation: Organisation) -> Self {
        let Organisation { id, name, active, .. } = organisation;
        Self { id, name, active }
    }
}

impl From<Credits> for WireCredits {
    fn from(credits: Credits) -> Self {
        Self { branch: credits.branch, organisation: credits.organisation }
    }
}

/// The one place where a token is written out.
fn exposed<S: Serializer>(token: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(Secret::expose).serialize(to)
}

read_in_any_case!(WireLoginReply {
    success = "Success",
    message = "Message",
    session_id = "SessionId",
    configuration = "Configuration",
    user = "User",
    branch = "Branch",
    organisation = "Organisation",
    desktop_client_denied = "DesktopClientDenied",
    incompatible_service_version = "IncompatibleServiceVersion",
    locked_user_account = "LockedUserAccount",
    new_password_required = "NewPasswordRequired",
    remaining_credits = "RemainingCredits",
    server_api_version = "ServerApiVersion",
    vpe_name = "VpeName",
});

read_in_any_case!(WireSetting { key = "Key", value = "Value" });

read_in_any_case!(WireUser {
    id = "Id",
    username = "Username",
    email = "Email",
    firstname = "Firstname",
    lastname = "Lastname",
    description = "Description",
    branch_id = "BranchId",
    branch_name = "BranchName",
    privileges = "Privileges",
    set_initial_password = "SetInitialPassword",
    failed_password_attempt_count = "FailedPasswordAttemptCount",
    is_locked_out = "IsLockedOut",
    active = "Active",
});

read_in_any_case!(WireBranch {
    id = "Id",
    name = "Name",
    organisation_id = "OrganisationId",
    active = "Active",
});

read_in_any_case!(WireOrganisation { id = "Id", name = "Name", active = "Active" });

read_in_any_case!(WireCredits { branch = "Branch", organisation = "Organisation" });
