//! Configurations that must be refused.

use crate::inputs::LARGE;
use crate::promises::Promises;
use crate::subject::Subject;
use handlers::{Executor, Kind, LoadError};
use serde_json::{Value, json};

pub(crate) fn check(subject: &Subject, kind: Kind, promises: &mut Promises) {
    for config in [
        json!("garbage"),
        json!(7),
        json!([]),
        json!({ "no such key, surely": 1 }),
        Value::String("x".repeat(LARGE)),
    ] {
        let shown: String = config.to_string().chars().take(40).collect();
        match subject.load(kind, Executor::Inline, &config) {
            Ok(_) => promises.check(false, format!("refuses the configuration {shown}")),
            Err(errors) => promises.check(
                errors
                    .0
                    .iter()
                    .all(|refusal| matches!(refusal.error, LoadError::Config { .. })),
                format!("calls the configuration {shown} a configuration error: {errors}"),
            ),
        }
    }
}
