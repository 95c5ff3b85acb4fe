use unicode_normalization::UnicodeNormalization;

use super::super::{Admission, Cost, Hasher, Verification};
use crate::error::ErrorKind;
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// The letter after the comma is the Roman numeral U+2163, which NFKC replaces by two letters; the
/// last one is decomposed, and NFC composes it. So the three normalisations differ.
const TYPED: &str = "pass w\u{f6}rd, \u{2163} cafe\u{301}";

/// Made by Django 5.2, of [`TYPED`].
const PBKDF2: &str =
    "pbkdf2_sha256$20000$QCdWQPwz4yfUWVxDt8j3eg$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=";

/// Made by passlib 1.7, of [`TYPED`].
const PASSLIB: &str =
    "$scrypt$ln=14,r=8,p=1$8J5z7v2fU2ptDaHUuvc+Jw$U2u0bdO6cdvO5X7T2ieodZ0YOVRxoOXLMQvbHbl0arI";

/// The sample of the repository firebase/scrypt.
const FIREBASE: &str = "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$\
     lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZq\
     AjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wj\
     LNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";

fn hasher() -> Hasher {
    Hasher::new(Cost::recommended(), 1, 0)
}

#[track_caller]
fn verify(hasher: &Hasher, password: &str, stored: &str) -> Verification {
    let Admission::Admitted(ticket) = hasher.admit(Timestamp::from_millis(0)) else {
        panic!("no other caller hashes here");
    };
    ticket.verify(&Password::from(password), stored, true).unwrap()
}

/// The password of a hash verifies and asks for a new hash, and another one does not verify.
#[track_caller]
fn check(text: &str, password: &str, head: &str) {
    let hasher = hasher();
    let stored = hasher.import(text).unwrap();
    assert!(stored.starts_with(&format!("{head}$")), "{}", *stored);
    assert_eq!(*hasher.import(&stored).unwrap(), *stored, "the stored form is read as it is");
    let right = verify(&hasher, password, &stored);
    assert_eq!(right, Verification { matches: true, needs_upgrade: true }, "{text}");
    let wrong = verify(&hasher, &password.to_lowercase().replace('a', "A"), &stored);
    assert_eq!(wrong, Verification { matches: false, needs_upgrade: false }, "{text}");
}

/// Made by argon2-cffi 25.1, which has the code of the reference implementation.
#[test]
fn argon2_of_each_kind_and_version_verifies() {
    let salt = "c2l4dGVlbiBieXRlIHNsdA";
    for (kind, version, output) in [
        ("argon2i", 16, "1grzuTnVwYh5dDWo3W9l/eLxiZrKHczHdgqfL08s5/Q"),
        ("argon2i", 19, "VFnUGN/xB8cgqbY7uEuak0Xw9yNjKBKXJpd5vu32UlI"),
        ("argon2d", 16, "JsXragNg793V+SkLKde29n3gdOA8n5X1M7XKfplfY60"),
        ("argon2d", 19, "/K+5I6wUxJceKpQGys60OVmAJBSuINiC3Ndon2eTimg"),
        ("argon2id", 16, "yEo+E9sPy22iT4Q7CkwKzvmUidSsQMVIL8h11WnmkYk"),
    ] {
        let text = format!("${kind}$v={version}$m=19456,t=2,p=1${salt}${output}");
        let head = format!("${kind}$v={version}$m=19456,t=2,p=1,norm=typed");
        check(&text, TYPED, &head);
        if version == 16 {
            check(&text.replace("$v=16", ""), TYPED, &head);
        }
    }
}

/// A hash of our own kind and cost is kept, also one of Django's, which hashes what was typed.
#[test]
fn argon2id_of_django_verifies_as_typed_and_is_kept() {
    let text = "argon2$argon2id$v=19$m=102400,t=2,p=8$M1FzZGRKTGZwRHdhT2gyaFprMnY5Ng$\
                uWlsb9sEMQ0VlGxHyWCbR56hM5H+6WbK6n47+dYne40";
    let hasher = hasher();
    let stored = hasher.import(text).unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=102400,t=2,p=8,norm=typed$"));
    let right = verify(&hasher, TYPED, &stored);
    assert_eq!(right, Verification { matches: true, needs_upgrade: false });
    let bare = hasher.import(text.trim_start_matches("argon2")).unwrap();
    assert!(bare.starts_with("$argon2id$v=19$m=102400,t=2,p=8$"));
    assert!(!verify(&hasher, TYPED, &bare).matches, "without a source it is read as our own: NFC");
}

/// Made by Django 5.2.
#[test]
fn the_hashes_of_django_verify() {
    check(PBKDF2, TYPED, "$pbkdf2-sha256$i=20000,l=32,norm=typed");
    check(
        "pbkdf2_sha1$20000$nAxgj3k1uRpuA3gcZ2OSkF$c1/3hkOFiOOiDPf8IcPmvHtewVk=",
        TYPED,
        "$pbkdf2-sha1$i=20000,l=20,norm=typed",
    );
    check(
        "bcrypt_sha256$$2b$06$I7MbeAxqwX9r2BGGmz3Ua.cIdg5/f6ltYHYefnykMxvO0QCzlLQOW",
        TYPED,
        "$django-bcrypt-sha256$r=6,norm=typed",
    );
    check(
        "bcrypt$$2b$06$eHDJ6LAep3wCmyafZ8aP3uoxy2MtUmSFoUTkk2rwZtYFbwvlfL0B2",
        TYPED,
        "$bcrypt$r=6,norm=typed",
    );
    check(
        "scrypt$16384$V0rf6zUxYUqf3Ng08hP3PQ$8$5$CcBSMqjoCSpikfxCKsaCjVKH60D2JKPEkSWFhIkjEvKen4Q5Lg\
         sI7vWJFQuP75NvoJqB4LZWjW14vTmp0jI5Dg==",
        TYPED,
        "$scrypt$ln=14,r=8,p=5,norm=typed",
    );
}

/// Made by Werkzeug 3.1.
#[test]
fn the_hashes_of_werkzeug_verify() {
    check(
        "pbkdf2:sha256:20000$4SnCZlwMEVGVuwnK$79db9b55ee44baa2cef62bec89092b175f183f45bc05a6fc63c8\
         1478b435ae15",
        TYPED,
        "$pbkdf2-sha256$i=20000,l=32,norm=typed",
    );
    check(
        "pbkdf2:sha512:20000$FQDcqveqXD3QbK5I$08751f0cc8c0865c9f13bda748762cfd1ff5b578b145bfa72fdc\
         d0531365378b5d568ce4d4ddcf6231fddde7e71293d93649cdde6418c6bc11843a549075b187",
        TYPED,
        "$pbkdf2-sha512$i=20000,l=64,norm=typed",
    );
    check(
        "pbkdf2:sha1:20000$R3CDKERmVNtwPMbp$60be79f10075b0cf0bb602bef0a4653034a6a58c",
        TYPED,
        "$pbkdf2-sha1$i=20000,l=20,norm=typed",
    );
    check(
        "scrypt:16384:8:1$n3XMwr8Zp6jvDs5p$73edea5de73fe88c3630d056c52a18726232cd72b1232ff954eef3dd\
         14ae60fb97f79d4c634bd975d5651e99b6909accf230ec52309d2c34da738e6118e09521",
        TYPED,
        "$scrypt$ln=14,r=8,p=1,norm=typed",
    );
}

/// Made by better-auth 1.7, of [`TYPED`].
const BETTER_AUTH: &str = "9b02ee13e59623de6cdb4aa85c27442d:\
     fd2a0208876f6a96a71b5335b3226f20e76438ca1dc3751314e98633\
     6e8057ad3c0ff0742f2702b31057ec6a8322eba155b28eafa0a35de9a2e13b81352b07c1";

/// Made by better-auth 1.7 and by passlib 1.7.
#[test]
fn scrypt_of_better_auth_and_as_a_phc_string_verifies() {
    check(BETTER_AUTH, &TYPED.nfkc().collect::<String>(), "$scrypt$ln=14,r=16,p=1,norm=nfkc");
    check(PASSLIB, TYPED, "$scrypt$ln=14,r=8,p=1,norm=typed");
}

/// A new hash would be of the letter that this keyboard types, and of no other that NFKC makes of
/// it.
#[test]
fn better_auths_hash_is_kept_if_nfc_and_nfkc_of_the_typed_text_differ() {
    let hasher = hasher();
    let stored = hasher.import(BETTER_AUTH).unwrap();
    let kept = Verification { matches: true, needs_upgrade: false };
    assert_eq!(verify(&hasher, TYPED, &stored), kept);
    // Decomposed, and the same in NFC and NFKC.
    let typed = TYPED.replace('\u{2163}', "IV");
    assert_eq!(verify(&hasher, &typed, &stored), Verification { needs_upgrade: true, ..kept });
}

/// HMAC fills a key with zero bytes up to its block.
#[test]
fn a_zero_byte_at_the_end_replaces_no_hash_that_is_keyed_by_the_password() {
    let hasher = hasher();
    let kept = Verification { matches: true, needs_upgrade: false };
    for (text, password) in [(PBKDF2, TYPED), (FIREBASE, "user1password"), (PASSLIB, TYPED)] {
        let stored = hasher.import(text).unwrap();
        assert_eq!(verify(&hasher, &format!("{password}\0"), &stored), kept, "{text}");
        let within = verify(&hasher, &format!("\0{password}"), &stored);
        assert!(!within.matches, "{text}");
    }
}

#[test]
fn the_scrypt_of_firebase_verifies() {
    check(FIREBASE, "user1password", "$firebase-scrypt$ln=14,r=8,p=1,norm=typed");
}

/// From the tests of ASP.NET Core Identity.
#[test]
fn version_3_of_asp_net_identity_verifies() {
    check(
        "AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw==",
        "my password",
        "$pbkdf2-sha256$i=10000,l=32,norm=typed",
    );
    refused("AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==", "version 2");
    let version_2 =
        "AgAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw==";
    refused(version_2, "no known form");
    refused("AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw", "a bound");
    refused("AQAAAAEAACcQAAAAEAABAgMEBQYH", "malformed");
    refused("AQAAAAkAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7c", "version");
}

/// Made by bcrypt 5.0 of Python.
#[test]
fn bcrypt_reads_72_bytes_and_replaces_nothing_that_it_did_not_read() {
    let hasher = hasher();
    let import = |text: &str| hasher.import(text).unwrap();
    let full = import("$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW");
    let upgrade = Verification { matches: true, needs_upgrade: true };
    let kept = Verification { matches: true, needs_upgrade: false };
    let none = Verification { matches: false, needs_upgrade: false };
    assert_eq!(verify(&hasher, &"x".repeat(72), &full), upgrade);
    assert_eq!(verify(&hasher, &"x".repeat(73), &full), kept);
    assert_eq!(verify(&hasher, &"x".repeat(71), &full), none);
    let shorter = import("$2b$05$PqPf64tdNGAlWbDWpmdyXumt7RMLOuax/Bx33bpuLGRqFYVwMb2rW");
    assert_eq!(verify(&hasher, &"x".repeat(71), &shorter), upgrade);
    assert_eq!(verify(&hasher, &"x".repeat(72), &shorter), none);
    let older = import("$2a$05$j301IvBAgpY/1IqNoeADUuSbqhBpVaoTeQNy54xo8RFIm0rpmueh.");
    assert_eq!(verify(&hasher, "till and tally", &older), upgrade);
    assert_eq!(verify(&hasher, "till and tally\0till and tally", &older), kept);
    let zero = import("$2b$05$l9goaxe.q3yvW2sHCcVhGu1osXRNzfHQb6z2W1Z0sZmIabzBwBRVq");
    assert_eq!(verify(&hasher, "till\0tally", &zero), kept);
    assert_eq!(verify(&hasher, "till", &zero), none);
    assert_eq!(verify(&hasher, "", &zero), none);
}

#[track_caller]
fn refused(text: &str, why: &str) {
    let hasher = hasher();
    let error = hasher.import(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(why), "{text}: {error}");
    assert!(error.advice().contains("reset"));
    assert_eq!(hasher.status().evaluations, 0);
}

#[test]
fn what_protects_no_password_is_refused_with_the_reason() {
    refused("{SSHA}AC4WuZCgZJjFfQ84yntrHG0y4+teKwWA", "LDAP");
    refused("{CRYPT}$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW", "LDAP");
    refused("md5$j34usIUkcrLImLhXE1LSZw$52d7629abf56cc7e10591dcac6c18dcb", "fast hash");
    refused("unsalted_md5$$52d7629abf56cc7e10591dcac6c18dcb", "no salt");
    refused("52d7629abf56cc7e10591dcac6c18dcb", "no salt");
    refused(&"ab".repeat(32), "no salt");
    refused("pbkdf2_sha256$20000$$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=", "no salt");
    refused("$6$rounds=656000$T9ZsBg19IyI7C50a$FLLmJg0rbbXPHYBzWRG4k", "crypt(3)");
    refused("$P$HA.ubHavWOcMJnGNrTQdkPrexgm7nK/$", "crypt(3)");
    refused("$2x$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW", "known error");
    refused("correct horse battery", "no known form");
    refused("a:b", "no known form");
    refused("", "malformed");
    refused("$", "malformed");
    refused("$argon2x$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y", "no known form");
}

#[test]
fn a_cost_beyond_its_bound_is_refused_before_it_is_computed() {
    const BCRYPT: &str = "$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW";
    for cost in ["$17$", "$03$", "$31$"] {
        refused(&BCRYPT.replace("$05$", cost), "a bound");
    }
    for cost in ["$5$", "$+5$", "$$", "$005$"] {
        refused(&BCRYPT.replace("$05$", cost), "malformed");
    }
    refused(&BCRYPT.replace("SW", "S"), "malformed");
    for (n, r, p) in [("16777216", "8", "1"), ("16384", "8", "17"), ("512", "8", "1")] {
        let output = "0".repeat(64);
        refused(&format!("scrypt:{n}:{r}:{p}$n3XMwr8Zp6jvDs5p${output}"), "a bound");
    }
    refused(&format!("scrypt:16385:8:1$n3XMwr8Zp6jvDs5p${}", "0".repeat(64)), "malformed");
    refused(&format!("pbkdf2:sha256:10000001$n3XMwr8Zp6jvDs5p${}", "0".repeat(64)), "a bound");
    refused(&format!("pbkdf2:sha256:999$n3XMwr8Zp6jvDs5p${}", "0".repeat(64)), "a bound");
    refused(&format!("pbkdf2:sha256:1000$short$ {}", "0".repeat(64)), "malformed");
    refused(&format!("pbkdf2:sha256:1000$short${}", "0".repeat(64)), "a bound");
    refused(&"x".repeat(513), "a bound");
    let (all_but_the_key, _) = FIREBASE.rsplit_once('$').unwrap();
    refused(&format!("{all_but_the_key}$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH"), "malformed");
    let (salt, output) = BETTER_AUTH.split_at(33);
    refused(&format!("{salt}{}", output.split_at(64).0), "malformed");
}

#[test]
fn each_stand_in_takes_what_a_hash_of_its_cost_takes() {
    let hasher = hasher();
    let costs = [
        ("$bcrypt$r=6,norm=typed", 1),
        ("$scrypt$ln=14,r=16,p=1,norm=nfkc", 1),
        ("$pbkdf2-sha1$i=20000,l=64,norm=typed", 1),
        ("$argon2id$v=19$m=19456,t=2,p=1", 1),
    ]
    .map(|(cost, users)| (cost.to_owned(), users));
    let drawn: Vec<String> =
        (0..4_u64).map(|quarter| hasher.stand_in(&costs, (quarter << 62) + (1 << 61))).collect();
    for ((cost, _), at) in costs.iter().zip([0, 3, 2, 1]) {
        assert!(drawn[at].starts_with(&format!("{cost}$")), "{cost} is not {}", drawn[at]);
        let before = hasher.status().evaluations;
        assert!(!verify(&hasher, "a password", &drawn[at]).matches);
        assert_eq!(hasher.status().evaluations, before + 1);
    }
}

/// Our own normalisation checks the length as well; what is hashed as typed has no other check.
#[test]
fn a_password_that_is_too_long_is_not_hashed_for_another_system_either() {
    let hasher = hasher();
    let Admission::Admitted(ticket) = hasher.admit(Timestamp::from_millis(0)) else {
        panic!("no other caller hashes here");
    };
    for text in [PBKDF2, BETTER_AUTH] {
        let stored = hasher.import(text).unwrap();
        let long = Password::from("x".repeat(4_097));
        let refused = ticket.verify(&long, &stored, true).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    assert_eq!(hasher.status().evaluations, 0);
}
