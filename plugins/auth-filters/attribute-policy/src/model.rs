//! The entities and the context that policies talk about.

use crate::creator::Creator;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value, Schema,
};
use std::collections::HashSet;
use std::fmt::{Display, Write};
use std::net::IpAddr;
use std::str::FromStr;

/// What a request is about.
pub(crate) struct Subject {
    pub(crate) principal: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
    /// The creator's common name, for the log.
    pub(crate) common_name: String,
}

/// The facts of one request beside its subject.
pub(crate) struct Circumstances<'a> {
    pub(crate) function: &'a str,
    pub(crate) arguments: usize,
    pub(crate) init: bool,
    pub(crate) remote_ip: Option<IpAddr>,
    /// SHA-256 in hex.
    pub(crate) tls_cert: Option<String>,
    pub(crate) facts: Vec<(String, String)>,
}

/// The names of types, parsed once.
pub(crate) struct Model {
    schema: Schema,
    identity: EntityTypeName,
    msp: EntityTypeName,
    chaincode: EntityTypeName,
    channel: EntityTypeName,
    action: EntityUid,
    /// Names of what other filters say.
    facts: Vec<String>,
}

/// The model as Cedar writes it; `facts` are what other filters say.
fn schema_text(facts: &[String]) -> String {
    let mut optional = String::new();
    for fact in facts {
        // writing to a String cannot fail
        if write!(optional, "{fact:?}?: String, ").is_err() {
            break;
        }
    }
    format!(
        r#"
entity Msp, Channel;
entity Identity in [Msp] {{
    mspid: String,
    cn: String,
    ous: Set<String>,
    issuer: String,
}} tags String;
entity Chaincode in [Channel] {{
    name: String,
    channel: String,
}};
action "propose" appliesTo {{
    principal: [Identity],
    resource: [Chaincode],
    context: {{
        function: String,
        arguments: Long,
        init: Bool,
        remoteIp?: ipaddr,
        tlsCert?: String,
        facts: {{ {optional} }},
    }},
}};
"#
    )
}

fn words(error: &impl Display) -> String {
    format!("the model of policies is wrong: {error}")
}

fn set(texts: &[String]) -> Value {
    Value::new_set(texts.iter().cloned().map(Value::new_string))
}

impl Model {
    /// The model with these facts.
    pub(crate) fn new(facts: Vec<String>) -> Result<Self, String> {
        let (schema, _warnings) =
            Schema::from_cedarschema_str(&schema_text(&facts)).map_err(|error| words(&error))?;
        let name = |name: &str| EntityTypeName::from_str(name).map_err(|error| words(&error));
        Ok(Self {
            schema,
            identity: name("Identity")?,
            msp: name("Msp")?,
            chaincode: name("Chaincode")?,
            channel: name("Channel")?,
            action: EntityUid::from_type_name_and_id(name("Action")?, EntityId::new("propose")),
            facts,
        })
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn action(&self) -> &EntityUid {
        &self.action
    }

    /// Names of what other filters say that policies look at.
    pub(crate) fn facts(&self) -> &[String] {
        &self.facts
    }

    /// A creator and what it wants to call.
    pub(crate) fn subject(
        &self,
        mspid: &str,
        creator: Creator,
        channel: &str,
        chaincode: &str,
    ) -> Result<Subject, String> {
        let uid = |name: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
        };
        let principal = uid(&self.identity, &creator.sha256);
        let attributes = [
            ("mspid".to_owned(), Value::new_string(mspid.to_owned())),
            ("cn".to_owned(), Value::new_string(creator.common_name.clone())),
            ("ous".to_owned(), set(&creator.organizational_units)),
            ("issuer".to_owned(), Value::new_string(creator.issuer)),
        ];
        let tags = creator
            .attributes
            .into_iter()
            .map(|(name, value)| (name, Value::new_string(value)));
        let identity = Entity::new_with_tags(principal.clone(), attributes, [uid(&self.msp, mspid)], tags)
            .map_err(|error| words(&error))?;
        let resource = uid(&self.chaincode, chaincode);
        let attributes = [
            ("name".to_owned(), Value::new_string(chaincode.to_owned())),
            ("channel".to_owned(), Value::new_string(channel.to_owned())),
        ];
        let parents: HashSet<_> = (!channel.is_empty())
            .then(|| uid(&self.channel, channel))
            .into_iter()
            .collect();
        let called =
            Entity::new(resource.clone(), attributes.into(), parents).map_err(|error| words(&error))?;
        let entities = Entities::from_entities([identity, called], None).map_err(|error| words(&error))?;
        Ok(Subject {
            principal,
            resource,
            entities,
            common_name: creator.common_name,
        })
    }
}

/// The context of a request.
pub(crate) fn context(of: Circumstances<'_>) -> Result<Context, String> {
    let facts = of
        .facts
        .into_iter()
        .map(|(name, fact)| (name, Value::new_string(fact)));
    let facts = Value::new_record(facts).map_err(|error| words(&error))?;
    let arguments = i64::try_from(of.arguments).unwrap_or(i64::MAX);
    let mut pairs = vec![
        ("function".to_owned(), Value::new_string(of.function.to_owned())),
        ("arguments".to_owned(), Value::new_long(arguments)),
        ("init".to_owned(), Value::new_bool(of.init)),
        ("facts".to_owned(), facts),
    ];
    if let Some(address) = of.remote_ip {
        pairs.push(("remoteIp".to_owned(), Value::new_ip(address.to_string())));
    }
    if let Some(sha256) = of.tls_cert {
        pairs.push(("tlsCert".to_owned(), Value::new_string(sha256)));
    }
    Context::from_pairs(pairs).map_err(|error| words(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Request;

    /// Requests are made without a check against the schema, which costs more than the decision: here it is made.
    #[test]
    fn requests_are_what_the_schema_says() {
        let model = Model::new(vec!["jwt.sub".to_owned(), "a-b".to_owned()]).unwrap();
        let creator = Creator {
            sha256: "ab".repeat(32),
            common_name: "alice".to_owned(),
            organizational_units: vec!["client".to_owned(), "sales".to_owned()],
            issuer: "ca".to_owned(),
            attributes: [("hf.Type".to_owned(), "client".to_owned())].into(),
        };
        for channel in ["mychannel", ""] {
            let subject = model
                .subject("Org1MSP", creator.clone(), channel, "mycc")
                .unwrap();
            Entities::from_entities(subject.entities.iter().cloned(), Some(model.schema())).unwrap();
            for (remote_ip, tls_cert, facts) in [
                (None, None, Vec::new()),
                (
                    Some("2001:db8::1".parse().unwrap()),
                    Some("cd".to_owned()),
                    vec![("jwt.sub".to_owned(), "alice".to_owned())],
                ),
                (Some("192.0.2.1".parse().unwrap()), None, Vec::new()),
            ] {
                let context = context(Circumstances {
                    function: "f",
                    arguments: usize::MAX,
                    init: true,
                    remote_ip,
                    tls_cert,
                    facts,
                });
                Request::new(
                    subject.principal.clone(),
                    model.action().clone(),
                    subject.resource.clone(),
                    context.unwrap(),
                    Some(model.schema()),
                )
                .unwrap();
            }
        }
    }
}
