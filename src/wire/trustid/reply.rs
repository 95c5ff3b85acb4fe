//! Replies to a login, granted or refused, in one shape.

use serde::{Serialize, Serializer};

use super::read::read_in_any_case;
use crate::flow::login::{self, LoginOutcome, Profile};
use crate::record::{branch, configuration, credit, organisation, user};
use crate::store::Service;
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::principal::UserStatus;
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Secret;

/// The message of every granted reply.
const DONE: &str = "Operation executed successfully.";

/// The reply to a login, or to a user's change of their own password, granted or refused.
///
/// Its JSON contains the session's token: send it to the client over a protected connection, and
/// never log it. `Debug` does not show the token.
///
/// ```
/// use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
/// let device = DeviceId::new("till-1")?;
/// let request = LoginRequest::new("ada", Password::from("till and tally"), device);
///
/// let wire = store.log_in(request)?.into_wire(&store.service());
/// let json = serde_json::to_string(&wire)?;
/// assert!(json.starts_with(r#"{"Success":true,"Message":"Operation executed successfully.""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct LoginReply {
    /// Whether the request was granted.
    pub success: bool,
    /// One sentence that may be shown to the person.
    pub message: String,
    /// The token of the session (not its id); `None` if refused.
    #[serde(serialize_with = "exposed")]
    pub session_id: Option<Secret>,
    /// The public configuration that applies to the user, sorted by key.
    pub configuration: Vec<Setting>,
    /// The user; `None` if refused.
    pub user: Option<User>,
    /// The user's branch; `None` if the user is in none.
    pub branch: Option<Branch>,
    /// The branch's organisation; `None` if the branch is in none.
    pub organisation: Option<Organisation>,
    /// Whether the login was refused because the user may not use the desktop client.
    pub desktop_client_denied: bool,
    /// Whether the login was refused because of the API version of the client.
    pub incompatible_service_version: bool,
    /// Whether the login was refused because an administrator locked the account.
    pub locked_user_account: bool,
    /// Whether the login was refused because the user must choose a new password.
    pub new_password_required: bool,
    /// The remaining credits; `None` if neither the branch nor the organisation counts them.
    pub remaining_credits: Option<Credits>,
    /// The newest API version that the service serves, as text: `1.0`.
    pub server_api_version: String,
    /// The name of the service.
    pub vpe_name: String,
}

/// A configuration key with its value, which is always text.
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"Key": "support.pagination", "Value": "50"}"#;
/// let setting: trustid::Setting = serde_json::from_str(json)?;
/// assert_eq!(setting.value, "50");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Setting {
    /// The key, in the case in which it was first written.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The user of a [`LoginReply`].
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"Id": "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77", "Username": "ada",
///     "Privileges": ["admin"], "SetInitialPassword": false,
///     "FailedPasswordAttemptCount": 0, "IsLockedOut": false, "Active": true}"#;
/// let user: trustid::User = serde_json::from_str(json)?;
/// assert_eq!(user.privileges, ["admin"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The username.
    pub username: String,
    /// The e-mail address; `None` if there is none.
    pub email: Option<String>,
    /// The first name; `None` if there is none.
    pub firstname: Option<String>,
    /// The last name; `None` if there is none.
    pub lastname: Option<String>,
    /// The description; `None` if there is none.
    pub description: Option<String>,
    /// The id of the branch; `None` if the user is in none.
    pub branch_id: Option<BranchId>,
    /// The name of the branch; `None` if the user is in none.
    pub branch_name: Option<String>,
    /// The names of the privileges, sorted.
    pub privileges: Vec<String>,
    /// Whether the user must choose a new password at the next login.
    pub set_initial_password: bool,
    /// The number of failed attempts that count, as in
    /// [`User`](crate::User).
    pub failed_password_attempt_count: u64,
    /// Whether an administrator has locked the user, or failed attempts keep the user from logging
    /// in on new devices. The latter may be so in the reply to a granted login, too: to one on a
    /// known device that proved no second factor.
    pub is_locked_out: bool,
    /// Whether the status of the user is active.
    pub active: bool,
}

/// The branch of a [`LoginReply`].
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"Id": "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77", "Name": "York", "Active": true}"#;
/// let branch: trustid::Branch = serde_json::from_str(json)?;
/// assert_eq!((branch.name.as_str(), branch.organisation_id), ("York", None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Branch {
    /// The id.
    pub id: BranchId,
    /// The name.
    pub name: String,
    /// The id of the organisation; `None` if the branch is in none.
    pub organisation_id: Option<OrganisationId>,
    /// Whether its users may log in.
    pub active: bool,
}

/// The organisation of a [`LoginReply`].
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"Id": "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77", "Name": "N", "Active": true}"#;
/// let organisation: trustid::Organisation = serde_json::from_str(json)?;
/// assert_eq!(organisation.name, "N");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Organisation {
    /// The id.
    pub id: OrganisationId,
    /// The name.
    pub name: String,
    /// Whether its users may log in.
    pub active: bool,
}

/// The remaining credits of the user's branch and organisation; `None` where none are counted.
///
/// ```
/// use gatepost::wire::trustid;
///
/// let credits: trustid::Credits = serde_json::from_str(r#"{"Branch": 7}"#)?;
/// assert_eq!((credits.branch, credits.organisation), (Some(7), None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Credits {
    /// The credits of the branch.
    pub branch: Option<u64>,
    /// The credits of the organisation.
    pub organisation: Option<u64>,
}

impl login::LoginReply {
    /// The JSON shape of the reply, which contains the token. Needs the feature `serde`.
    ///
    /// ```
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let reply = store.sessions().open(OpenSession::new(ada, DeviceId::random()?))?.granted()?;
    /// assert_eq!(reply.into_wire().user.unwrap().username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_wire(self) -> LoginReply {
        granted(self.session.token, self.profile)
    }
}

impl LoginOutcome {
    /// The JSON shape of either outcome; [`Store::service`](crate::Store::service) returns
    /// `service`. Needs the feature `serde`.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRequest, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let login = LoginRequest::new("ada", Password::from("wet slate"), DeviceId::random()?);
    /// let reply = store.log_in(login)?.into_wire(&store.service());
    /// assert!(reply.message.starts_with("The username or password is wrong"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_wire(self, service: &Service) -> LoginReply {
        match self {
            Self::Granted(reply) => reply.into_wire(),
            Self::Pending(step) => step.refusal().into_wire(service),
            Self::Refused(refusal) => refusal.into_wire(service),
        }
    }
}

impl LoginRefusal {
    /// The JSON shape of the refusal: its message, its flag if there is one, and nothing about the
    /// user. Needs the feature `serde`.
    ///
    /// ```
    /// use gatepost::{LoginRefusal, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let reply = LoginRefusal::NewPasswordRequired.into_wire(&store.service());
    /// assert!(!reply.success && reply.new_password_required);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_wire(self, service: &Service) -> LoginReply {
        LoginReply {
            success: false,
            message: self.message().into_owned(),
            desktop_client_denied: self == Self::DesktopClientDenied,
            incompatible_service_version: self == Self::IncompatibleApiVersion,
            locked_user_account: matches!(self, Self::AccountLocked),
            new_password_required: self == Self::NewPasswordRequired,
            ..empty(service)
        }
    }
}

fn granted(token: Secret, profile: Profile) -> LoginReply {
    LoginReply {
        success: true,
        message: DONE.to_owned(),
        session_id: Some(token),
        configuration: profile.configuration.iter().map(Setting::from).collect(),
        user: Some(wire_user(profile.user, profile.branch.as_ref())),
        branch: profile.branch.map(Into::into),
        organisation: profile.organisation.map(Into::into),
        remaining_credits: profile.credits.map(Into::into),
        ..empty(&profile.service)
    }
}

fn empty(service: &Service) -> LoginReply {
    LoginReply {
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

fn wire_user(user: user::User, branch: Option<&branch::Branch>) -> User {
    User {
        id: user.id,
        username: user.username,
        email: user.email,
        firstname: user.first_name,
        lastname: user.last_name,
        description: user.description,
        branch_id: user.branch,
        branch_name: branch.map(|branch| branch.name.clone()),
        privileges: user.privileges,
        set_initial_password: user.must_change_password,
        failed_password_attempt_count: user.failed_attempts,
        // `locked_out_until` is `None` once the lock has passed.
        is_locked_out: user.status == UserStatus::Locked || user.locked_out_until.is_some(),
        active: user.status == UserStatus::Active,
    }
}

impl From<&configuration::Setting> for Setting {
    fn from(setting: &configuration::Setting) -> Self {
        Self { key: setting.key.clone(), value: setting.value.clone() }
    }
}

impl From<branch::Branch> for Branch {
    fn from(branch: branch::Branch) -> Self {
        let branch::Branch { id, name, organisation, active, .. } = branch;
        Self { id, name, organisation_id: organisation, active }
    }
}

impl From<organisation::Organisation> for Organisation {
    fn from(organisation: organisation::Organisation) -> Self {
        let organisation::Organisation { id, name, active, .. } = organisation;
        Self { id, name, active }
    }
}

impl From<credit::Credits> for Credits {
    fn from(credits: credit::Credits) -> Self {
        Self { branch: credits.branch, organisation: credits.organisation }
    }
}

/// Serialises a token; no other code does.
fn exposed<S: Serializer>(token: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(Secret::expose).serialize(to)
}

read_in_any_case!(LoginReply {
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

read_in_any_case!(Setting { key = "Key", value = "Value" });

read_in_any_case!(User {
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

read_in_any_case!(Branch {
    id = "Id",
    name = "Name",
    organisation_id = "OrganisationId",
    active = "Active",
});

read_in_any_case!(Organisation { id = "Id", name = "Name", active = "Active" });

read_in_any_case!(Credits { branch = "Branch", organisation = "Organisation" });
