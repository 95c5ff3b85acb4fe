//! Resource tickets in URLs: the link to a resource, and the extractor of its request.

use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OriginalUri};
use axum::http::Method;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use gatepost::sessions::{NewTicket, TicketBearer, TicketVerdict};
use gatepost::{Credential, ErrorClass, NotPermitted, Store};

use crate::auth::Auth;
use crate::rejection::Rejection;
use crate::signed_in::SignedIn;

const PARAMETER: &str = "ticket=";

impl SignedIn {
    /// A URL of this server for a `GET` of `target`, with a resource ticket of the caller's
    /// session: for an image or a download, whose request carries neither a header nor, from
    /// another origin, a cookie. The route takes [`ByTicket`].
    ///
    /// `target` is a path, and perhaps a query, percent-encoded as the browser sends it. The ticket
    /// is the last parameter of the query, and valid for this target alone, for `lifetime`: at most
    /// 5 minutes, and never longer than the session. Check first that the caller may have the
    /// resource. Runs on the thread that serves the request, as a verify does.
    ///
    /// # Errors
    /// 403 if the caller signed in by an API key, 401 if the session has ended, 422 if the target
    /// is not a path or the lifetime too long; and as `Tickets::mint`.
    pub fn ticket_url(&self, target: &str, lifetime: Duration) -> Result<String, Rejection> {
        if let Credential::ApiKey(_) = self.principal.credential {
            return Err(NotPermitted::Denied.into());
        }
        let is_target = |parsed: PathAndQuery| {
            parsed.as_str() == target && parsed.path().starts_with('/') && target.is_ascii()
        };
        if !target.parse().is_ok_and(is_target) {
            let detail = "The target is not a path with a query.";
            return Err(Rejection::new(ErrorClass::Invalid, "invalid_target", detail));
        }
        let new = NewTicket::new(Method::GET.as_str(), target).lifetime(lifetime);
        let issued = self.store.tickets().mint(&self.principal, new)?.valid()?;
        let sign = if target.contains('?') { '&' } else { '?' };
        Ok(format!("{target}{sign}{PARAMETER}{}", issued.ticket.expose()))
    }
}

/// A caller that presents a resource ticket in the URL (see [`SignedIn::ticket_url`]), valid for
/// the method and the target of this request. Any other caller is answered 403 (`invalid_ticket`).
///
/// It is not a [`SignedIn`]: a ticket gives this one resource and nothing else. No route that takes
/// `SignedIn` reads a ticket.
///
/// ```
/// use std::time::Duration;
///
/// use axum::Router;
/// use axum::extract::Path;
/// use axum::routing::get;
/// use gatepost_axum::{Auth, ByTicket, Rejection, SignedIn};
///
/// async fn link(me: SignedIn, Path(image): Path<u32>) -> Result<String, Rejection> {
///     me.may("images.read")?;
///     me.ticket_url(&format!("/images/{image}"), Duration::from_secs(30))
/// }
///
/// async fn image(_caller: ByTicket, Path(image): Path<u32>) -> String {
///     format!("image {image}")
/// }
///
/// let router: Router<Auth> =
///     Router::new().route("/images/{image}/link", get(link)).route("/images/{image}", get(image));
/// assert!(router.has_routes());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ByTicket {
    /// The user and session behind the ticket. A copy of this moment: do not keep it.
    pub bearer: TicketBearer,
    /// The store, acting as the caller: the audit log records the caller for each write.
    pub store: Store,
}

impl<S> FromRequestParts<S> for ByTicket
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let auth = Auth::from_ref(state);
        // A nested router sees the rest of the path only.
        let whole = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let target = whole.path_and_query().map_or("", PathAndQuery::as_str);
        let (resource, ticket) = split(target).ok_or_else(Rejection::invalid_ticket)?;
        match auth.store().tickets().verify(ticket, parts.method.as_str(), resource)? {
            TicketVerdict::Valid(bearer) => {
                Ok(Self { bearer, store: auth.store().acting_as(&bearer) })
            }
            TicketVerdict::Invalid(_) => Err(Rejection::invalid_ticket()),
        }
    }
}

/// The resource of a target, and the ticket that is its last parameter.
fn split(target: &str) -> Option<(&str, &str)> {
    let (resource, last) = target.rsplit_once(['?', '&'])?;
    Some((resource, last.strip_prefix(PARAMETER)?))
}
