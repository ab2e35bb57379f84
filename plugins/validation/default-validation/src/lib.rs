//! Validation plugin that asks for the endorsement policies of chaincode and of single keys, and knows which deployments
//! LSCC may have made, as Fabric's `DefaultValidation` does.
//!
//! Not here: whether the transaction is well-formed, which namespaces it may write, whether the version is right. The
//! peer has found that out before.

mod endorsements;
mod lscc;
mod messages;
mod refusal;
mod written;

use plugin_api::{Init, Result, Validation, ValidationAction, Verdict, export_plugin};
use refusal::Refusal;

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false
}"#;

struct DefaultValidation;

impl Validation for DefaultValidation {
    fn validate(&self, action: &ValidationAction<'_>) -> Result<Verdict> {
        match judge(action) {
            Ok(()) => Ok(Verdict::Valid),
            Err(Refusal::Invalid(reason)) => Ok(Verdict::Invalid(reason)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }
}

fn judge(action: &ValidationAction<'_>) -> std::result::Result<(), Refusal> {
    endorsements::check(action)?;
    if action.namespace() == lscc::NAMESPACE && action.chaincode_name() == lscc::NAMESPACE {
        lscc::check(action)?;
    }
    Ok(())
}

fn new(_init: Init<'_>) -> Result<DefaultValidation> {
    Ok(DefaultValidation)
}

export_plugin! {
    name: "DefaultValidation",
    description: "Asks for endorsement policies and the rules of LSCC.",
    config_schema: SCHEMA,
    validation: new,
}
