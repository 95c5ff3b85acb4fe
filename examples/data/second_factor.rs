//! The part of the quickstart in which a user enrols an authenticator and logs in with its codes,
//! and an image is shown by a ticket.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use gatepost::host::Clock;
use gatepost::second_factors::{FactorCode, NewTotp};
use gatepost::sessions::{Assurance, NewTicket};
use gatepost::{CompleteLogin, DeviceId, Ended, LoginOutcome, LoginRefusal};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::page::section;
use crate::{Held, Result, Story, of, refused};

impl Story {
    /// Returns her session on the laptop, which a code has opened.
    pub(crate) fn enrol_a_second_factor(&mut self, held: &[Held]) -> Result<Held> {
        section("tamsin enrols an authenticator, and logs in with its codes");
        let her = of(held, "tamsin")?;
        let (presented, factors) = ((her.token(), &her.device), self.store.second_factors());
        let enrolment = factors.enrol(presented, NewTotp::new())?.done()?;
        println!("the page shows a QR code of {:.48}…", enrolment.uri.expose());
        let authenticator = Authenticator::scan(enrolment.base32.expose())?;
        let first = authenticator.code(&self.clock)?;
        self.clock.advance(STEP);
        let second = authenticator.code(&self.clock)?;
        let recovery = factors.confirm(presented, first, second)?.done()?.codes;
        println!("two codes confirm it, and {} recovery codes are shown once", recovery.len());
        self.secrets.push(enrolment.base32.expose().to_owned());
        self.secrets.extend(recovery.iter().map(|code| code.expose().to_owned()));

        let password = "salt & harbour lights";
        let request = self.request("tamsin", password, "laptop-t")?;
        let LoginOutcome::Pending(step) = self.store.log_in(request)? else {
            return Err("a code was not asked for".into());
        };
        println!("the password alone:     {}", step.refusal().message());
        self.clock.advance(STEP);
        let (device, code) = (DeviceId::new("laptop-t")?, authenticator.code(&self.clock)?);
        let complete = CompleteLogin::with_code(step.token.expose(), device.clone(), code);
        let reply = self.store.complete_login(complete)?.granted()?;
        assert_eq!(reply.principal.assurance, Assurance::Aal2);
        println!("and a code:             logged in, level AAL2");

        let code = authenticator.code(&self.clock)?;
        let again = self.request("tamsin", password, "phone-t")?.code(code);
        assert_eq!(refused(self.store.log_in(again)?)?, LoginRefusal::InvalidCredentials);
        println!("the same code again:    refused, a code is accepted once");
        self.secrets.push(step.token.expose().to_owned());
        self.secrets.push(reply.session.token.expose().to_owned());
        Ok(Held { who: "tamsin", device, reply })
    }

    pub(crate) fn show_an_image(&mut self, held: &Held) -> Result<()> {
        section("An image behind a ticket");
        let principal = self.store.verify((held.token(), &held.device))?.valid()?;
        let new = NewTicket::new("GET", "/images/7").lifetime(Duration::from_secs(20));
        let ticket = self.store.tickets().mint(&principal, new)?.valid()?.ticket;
        let is_valid = |resource: &str| -> Result<bool> {
            Ok(self.store.tickets().verify(ticket.expose(), "GET", resource)?.valid().is_ok())
        };
        assert!(is_valid("/images/7")?);
        println!(
            "/images/7?ticket={:.10}…: shown, without the token of the session",
            ticket.expose()
        );
        assert!(!is_valid("/images/8")?);
        println!("/images/8 with the same ticket: refused");
        assert_eq!(self.store.log_out((held.token(), &held.device))?, Ended::Now);
        assert!(!is_valid("/images/7")?);
        println!("{} logs out: the ticket is refused as well", held.who);
        self.secrets.push(ticket.expose().to_owned());
        Ok(())
    }
}

/// How long a code is shown.
const STEP: Duration = Duration::from_secs(30);

/// What an authenticator program on a telephone does (RFC 6238).
struct Authenticator(Vec<u8>);

impl Authenticator {
    /// Reads the secret, as from the QR code.
    fn scan(base32: &str) -> Result<Self> {
        Ok(Self(BASE32_NOPAD.decode(base32.as_bytes())?))
    }

    /// The code that it shows now.
    fn code(&self, clock: &impl Clock) -> Result<FactorCode> {
        let step = clock.now().as_millis() / 30_000;
        let mac = Hmac::<Sha1>::new_from_slice(&self.0)?.chain_update(step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let at = usize::from(digest.last().ok_or("an empty digest")? & 15);
        let four = digest.get(at..at + 4).ok_or("a short digest")?;
        let number = u32::from_be_bytes(four.try_into()?) & 0x7fff_ffff;
        Ok(FactorCode::new(format!("{:06}", number % 1_000_000)))
    }
}
