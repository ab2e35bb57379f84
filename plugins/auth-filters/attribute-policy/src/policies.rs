//! Policies from text: parsed, named, and checked against the model.

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Longest name of a policy, in bytes.
const MAX_NAME: usize = 128;
/// How many errors of a file are told at once.
const MAX_ERRORS: usize = 5;

/// Where policies come from.
pub(crate) struct Source {
    /// For errors: a path, or the key in the configuration.
    pub(crate) place: String,
    /// For the names of policies without one.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All policies of all sources.
pub(crate) fn compile(sources: &[Source], schema: &Schema) -> Result<PolicySet, String> {
    let validator = Validator::new(schema.clone());
    let (mut all, mut names) = (PolicySet::new(), BTreeSet::new());
    for source in sources {
        for policy in policies(source, &validator)? {
            if !names.insert(policy.id().clone()) {
                return Err(format!(
                    "{}: a second policy has the name {:?}: give each its own",
                    source.place,
                    policy.id().to_string()
                ));
            }
            all.add(policy)
                .map_err(|error| format!("{}: {error}", source.place))?;
        }
    }
    if all.is_empty() {
        return Err("there is no policy, so everything would be refused: write one that permits".to_owned());
    }
    Ok(all)
}

fn policies(source: &Source, validator: &Validator) -> Result<Vec<Policy>, String> {
    let parsed = PolicySet::from_str(&source.text).map_err(|errors| told(source, errors.iter()))?;
    if parsed.templates().next().is_some() {
        return Err(format!(
            "{}: a template (with ?principal or ?resource) applies to nothing here: write a policy",
            source.place
        ));
    }
    let mut named = Vec::new();
    for (index, policy) in parsed.policies().enumerate() {
        named.push(policy.new_id(PolicyId::new(name(source, policy, index)?)));
    }
    let set = PolicySet::from_policies(named.iter().cloned())
        .map_err(|error| format!("{}: {error}: give each policy its own @id", source.place))?;
    let checked = validator.validate(&set, ValidationMode::Strict);
    if !checked.validation_passed() {
        return Err(told(source, checked.validation_errors()));
    }
    for warning in checked.validation_warnings() {
        tracing::warn!(place = source.place, %warning, "a policy may not mean what it says");
    }
    Ok(named)
}

fn name(source: &Source, policy: &Policy, index: usize) -> Result<String, String> {
    let Some(name) = policy.annotation("id") else {
        return Ok(format!("{}#{}", source.name, index + 1));
    };
    // names are listed with commas between them
    let odd = |c: char| c == ',' || c.is_control();
    if name.is_empty() || name.len() > MAX_NAME || name.contains(odd) {
        return Err(format!(
            "{}: the name {name:?} of policy {} must have 1 to {MAX_NAME} bytes and no commas",
            source.place,
            index + 1
        ));
    }
    Ok(name.to_owned())
}

/// Errors with their places, as editors and people find them: `file:line:column: text`.
fn told<'e, E: Diagnostic + 'e>(source: &Source, errors: impl Iterator<Item = &'e E>) -> String {
    let lines: Vec<String> = errors.take(MAX_ERRORS).map(|error| one(source, error)).collect();
    lines.join("; ")
}

fn one(source: &Source, error: &impl Diagnostic) -> String {
    let label = error.labels().and_then(|mut labels| labels.next());
    let place = label.as_ref().map_or_else(String::new, |label| {
        let before = source.text.get(..label.offset()).unwrap_or(&source.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(":{line}:{column}")
    });
    let label = label.as_ref().and_then(|label| label.label());
    let more = [
        label.map(str::to_owned),
        error.help().map(|help| help.to_string()),
    ];
    let more: String = more
        .into_iter()
        .flatten()
        .map(|more| format!(" ({more})"))
        .collect();
    format!("{}{place}: {error}{more}", source.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn compiled(texts: &[&str]) -> Result<Vec<String>, String> {
        let model = Model::new(vec!["jwt.sub".to_owned()]).unwrap();
        let sources: Vec<_> = texts
            .iter()
            .map(|text| Source {
                place: "/etc/access.cedar".to_owned(),
                name: "access.cedar".to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let set = compile(&sources, model.schema())?;
        Ok(set.policies().map(|policy| policy.id().to_string()).collect())
    }

    const ALL: &str = "permit (principal, action, resource);";

    #[test]
    fn policies_have_the_names_that_they_say_or_their_places() {
        let text = format!("{ALL}\n@id(\"readers\")\n{ALL}\n{ALL}");
        assert_eq!(
            compiled(&[&text]).unwrap(),
            ["access.cedar#1", "readers", "access.cedar#3"]
        );
    }

    #[test]
    fn all_of_the_model_can_be_said() {
        let text = r#"
            permit (principal in Msp::"Org1MSP", action == Action::"propose", resource == Chaincode::"mycc")
            when {
                principal.mspid == "Org1MSP" && principal.cn like "a*" && principal.ous.contains("client") &&
                principal.issuer == "ca" && principal.hasTag("hf.Type") && principal.getTag("hf.Type") == "client" &&
                resource in Channel::"mychannel" && resource.channel == "mychannel" && resource.name == "mycc" &&
                context.function == "put" && context.arguments <= 2 && !context.init &&
                context has remoteIp && context.remoteIp.isInRange(ip("10.0.0.0/8")) &&
                context has tlsCert && context.tlsCert == "ab" &&
                context.facts has "jwt.sub" && context.facts["jwt.sub"] == "alice"
            };"#;
        assert_eq!(compiled(&[text]).unwrap().len(), 1);
    }

    #[test]
    fn errors_say_file_line_and_what() {
        let when = |condition: &str| {
            format!("{ALL}\n\n  permit (principal, action, resource)\nwhen {{ {condition} }};")
        };
        for (text, place, words) in [
            (
                format!("{ALL}\npermit (principal,\n  action resource);"),
                ":3:10: ",
                "unexpected token",
            ),
            (when("principal.oues.contains(\"x\")"), ":4:8: ", "oues"),
            (when("context.arguments == \"1\""), ":4:8: ", "types"),
            (when("context.remoteIp.isLoopback()"), ":4:8: ", "remoteIp"),
            (when("principal.getTag(\"a\") == \"b\""), ":4:8: ", "tag"),
            (when("principal in Mps::\"Org1MSP\""), "", "Mps"),
            (when("context.facts[\"jwt.iss\"] == \"b\""), ":4:8: ", "jwt.iss"),
            (
                "permit (principal == ?principal, action, resource);".to_owned(),
                ": ",
                "a template",
            ),
            (format!("@id(\"\")\n{ALL}"), ": ", "the name \"\" of policy 1"),
            (format!("@id(\"a,b\")\n{ALL}"), ": ", "no commas"),
            (
                format!("@id(\"a\")\n{ALL}\n@id(\"a\")\n{ALL}"),
                ": ",
                "give each policy its own @id",
            ),
        ] {
            let error = compiled(&[&text]).unwrap_err();
            assert!(error.starts_with(&format!("/etc/access.cedar{place}")), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let twice = format!("@id(\"a\")\n{ALL}");
        let error = compiled(&[&twice, &twice]).unwrap_err();
        assert!(error.contains("a second policy has the name \"a\""), "{error}");
        assert!(compiled(&[]).unwrap_err().contains("there is no policy"));
    }
}
