//! How often each kind of operation was run, and how often with an effect.

use std::collections::BTreeMap;

use crate::model::{Expect, Model, Op, kinds};

/// Answers that must occur in every run, whatever its policy.
const REFUSALS: [&str; 16] = [
    "refused account_disabled",
    "refused account_locked",
    "refused account_pending",
    "refused branch_disabled",
    "refused invalid_credentials",
    "refused new_password_required",
    "refused organisation_disabled",
    "refused session_not_live",
    "failed Insufficient",
    "failed Invalid",
    "failed NotEmpty",
    "failed NotFound",
    "failed LimitReached",
    "verify refused",
    "verify refused at the very end",
    "verify refused on another device",
];

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) histories: u64,
    pub(super) operations: u64,
    /// How often each kind was run, and how often with effect.
    kinds: BTreeMap<&'static str, (u64, u64)>,
    refusals: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts an operation, given the model before and after it.
    pub(super) fn count(&mut self, op: Op, before: &Model, after: &Model, expect: &Expect) {
        self.operations += 1;
        let (run, effective) = self.kinds.entry(op.kind(before)).or_default();
        *run += 1;
        *effective += u64::from(has_effect(op, before, after, expect));
        let refusal = match (expect, op) {
            (Expect::Refused(why), _) => format!("refused {why}"),
            (Expect::Failed(why), _) => format!("failed {why}"),
            (Expect::Verified(None), Op::Verify { token, .. }) if after.live(token) => {
                "verify refused on another device".into()
            }
            (Expect::Verified(None), Op::Verify { token, .. })
                if before.live(token) && after.deadline(token) == Some(after.now) =>
            {
                "verify refused at the very end".into()
            }
            (Expect::Verified(None), _) => "verify refused".into(),
            (Expect::Renewed(None), _) => "renewal refused".into(),
            _ => return,
        };
        *self.refusals.entry(refusal).or_default() += 1;
    }

    /// Adds what another one has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.operations += other.operations;
        for (kind, (run, effective)) in &other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            *sum = (sum.0 + run, sum.1 + effective);
        }
        for (refusal, times) in &other.refusals {
            *self.refusals.entry(refusal.clone()).or_default() += times;
        }
    }

    pub(super) fn print(&self) {
        let kinds = self.kinds.iter().map(|(kind, (run, of))| format!("{kind} {of}/{run}"));
        let refusals = self.refusals.iter().map(|(refusal, times)| format!("{refusal} {times}"));
        println!("  with effect/run: {}", kinds.collect::<Vec<_>>().join(", "));
        println!("  refusals: {}", refusals.collect::<Vec<_>>().join(", "));
    }

    /// Asserts that nothing that can happen was left out.
    #[track_caller]
    pub(super) fn assert_complete(&self) {
        let kinds = kinds();
        let unlisted: Vec<_> = self.kinds.keys().filter(|kind| !kinds.contains(kind)).collect();
        assert!(unlisted.is_empty(), "not listed: {unlisted:?}");
        let effect = |kind: &str| self.kinds.get(kind).map_or(0, |(_, effective)| *effective);
        let idle: Vec<_> = kinds.iter().filter(|kind| effect(kind) == 0).collect();
        assert!(idle.is_empty(), "never applied with effect: {idle:?}");
        let unheard: Vec<_> =
            REFUSALS.iter().filter(|refusal| !self.refusals.contains_key(**refusal)).collect();
        assert!(unheard.is_empty(), "never refused: {unheard:?}");
    }
}

/// Whether it found what it asked for, or changed what it is about.
fn has_effect(op: Op, before: &Model, after: &Model, expect: &Expect) -> bool {
    let ended = || before.tokens != after.tokens;
    let live = |model: &Model| -> Vec<usize> {
        model.tokens.keys().copied().filter(|token| model.live(*token)).collect()
    };
    match (expect, op) {
        (Expect::Refused(_) | Expect::Failed(_), _) => false,
        (Expect::Verified(found), _) => found.is_some(),
        (_, Op::Advance { .. }) => live(before) != live(after),
        // Once more, it changes nothing that the model knows of.
        (_, Op::Confirm { .. }) => true,
        (_, Op::Maintain) => before.tokens.keys().any(|token| before.over(*token)),
        (
            _,
            Op::EndUser { .. }
            | Op::EndBranch { .. }
            | Op::EndOrganisation { .. }
            | Op::EndStore
            | Op::EndOthers { .. },
        ) => ended(),
        (Expect::Value(None), _) => false,
        (Expect::Value(Some(_)), Op::Value(crate::model::ValueOp::InForce { .. })) => true,
        _ => *before != Model { now: before.now, step: before.step, ..after.clone() },
    }
}

/// Even the smallest run must be larger.
#[test]
#[should_panic(expected = "never applied with effect: [\"Store::log_out\", \"Sessions::revoke\"")]
fn a_run_that_leaves_something_out_is_not_complete() {
    Tally::default().assert_complete();
}
