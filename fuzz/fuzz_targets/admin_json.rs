//! Reads any bytes as what callers of the admin API send: nothing panics, what is understood is understood the
//! same when it is written anew, and a key that nobody knows is never taken for consent.

#![no_main]

use std::fmt::Debug;

use cyan_fuzz::admin::change::{
    Because, PutEnvironment, ResetField, RollBack, SetWeights, StartDrain, Switch,
};
use cyan_fuzz::admin::rollout_change::{ActOnRollout, SetFreeze, StartRollout};
use cyan_fuzz::config::overrides::laid_over;
use cyan_fuzz::control_plane::record::parse_upstreams;
use cyan_fuzz::model::plan::{Plan, Plans};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    read::<Because>(input);
    read::<ResetField>(input);
    read::<RollBack>(input);
    read::<SetFreeze>(input);
    read::<SetWeights>(input);
    read::<StartDrain>(input);
    read::<Switch>(input);
    read::<ActOnRollout>(input);
    if let Some(PutEnvironment { upstreams: Some(upstreams), .. }) = read(input)
        && let Ok(specs) = parse_upstreams(&upstreams)
    {
        assert_eq!(specs.len(), upstreams.len());
    }
    if let Some(start) = read::<StartRollout>(input) {
        override_plan(&start);
    }
});

/// What a start says otherwise than its plan is refused by field, or is a plan that ends with everybody.
fn override_plan(start: &StartRollout) {
    let plans = Plans::default();
    match laid_over(Plan::default(), &plans, &start.overrides) {
        Ok(plan) => assert!(!plan.steps.is_empty(), "a plan has steps"),
        Err(errors) => assert!(!errors.is_empty(), "a refusal has a reason"),
    }
}

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(input: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(input).ok()?;
    let text = serde_json::to_string(&value).expect("it came from JSON");
    assert_eq!(serde_json::from_str::<T>(&text).ok().as_ref(), Some(&value), "{text}");
    if let Ok(Value::Object(mut fields)) = serde_json::from_slice(input) {
        fields.insert("surely not a field".to_owned(), Value::Null);
        assert!(
            serde_json::from_value::<T>(Value::Object(fields)).is_err(),
            "unknown keys are refused"
        );
    }
    Some(value)
}
