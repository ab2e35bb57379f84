//! What makes two builds of a chaincode the same.

use aws_lc_rs::digest::{Context, SHA256};

use crate::vm::{BuildPlan, ChaincodeSource};

/// Hash of package, build plan, and whatever else the runtime builds from: another registry may have other packages.
/// Not of the plan's secrets: a new token is no new program.
pub(crate) fn build_hash(source: &ChaincodeSource, plan: &BuildPlan, further: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(bytes);
    };
    part(source.chaincode_type.as_bytes());
    part(&source.code_package);
    part(plan.cmd.as_bytes());
    let mut env: Vec<String> = plan.env.iter().map(|line| plan.redact(line.clone())).collect();
    env.sort();
    for line in &env {
        part(line.as_bytes());
    }
    for (name, content) in &plan.files {
        part(name.as_bytes());
        let text = String::from_utf8_lossy(content);
        if plan.secrets.iter().any(|secret| text.contains(secret.as_str())) {
            part(plan.redact(text.into_owned()).as_bytes());
        } else {
            part(content);
        }
    }
    for text in further {
        part(text.as_bytes());
    }
    hex::encode(context.finish())
}
