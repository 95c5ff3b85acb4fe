//! One login, against raw Argon2 with the same parameters and its memory reused.
//!
//! `cargo bench --bench login`. Default cost, one thread, a session opened each time and replaced
//! on its device: beyond its one hash a login costs two durable writes.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and measures against plain SQL"
)]

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use criterion::{Criterion, criterion_group, criterion_main};
use gatepost::policy::Cost;
use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};

const PASSWORD: &str = "nine brass bells";

fn login(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("auth.db"), Options::server()).unwrap();
    store.users().create(NewUser::person("ada").password(Password::from(PASSWORD))).unwrap();
    let device = DeviceId::new("till-1").unwrap();

    let cost = Cost::recommended();
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), Some(32)).unwrap();
    println!("Argon2id m={} t={} p={}", cost.memory_kib(), cost.passes(), cost.lanes());
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);

    let mut group = criterion.benchmark_group("login");
    group.sample_size(20);
    group.bench_function("raw_argon2", |bencher| {
        bencher.iter(|| {
            let mut out = [0_u8; 32];
            argon2
                .hash_password_into_with_memory(
                    PASSWORD.as_bytes(),
                    b"sixteen byte sal",
                    &mut out,
                    &mut memory,
                )
                .unwrap();
            black_box(out)
        });
    });
    group.bench_function("granted", |bencher| {
        bencher.iter(|| {
            let request = LoginRequest::new("ada", Password::from(PASSWORD), device.clone());
            black_box(store.log_in(request).unwrap().granted().unwrap())
        });
    });
    // Counted across the samples: a name tried a fifth time would wait instead of being hashed.
    let mut number = 0_u64;
    group.bench_function("unknown_user", |bencher| {
        bencher.iter(|| {
            number += 1;
            let request = LoginRequest::new(
                format!("unknown {number}"),
                Password::from(PASSWORD),
                device.clone(),
            );
            black_box(store.log_in(request).unwrap().granted().unwrap_err())
        });
    });
    group.finish();
}

criterion_group!(benches, login);
criterion_main!(benches);
