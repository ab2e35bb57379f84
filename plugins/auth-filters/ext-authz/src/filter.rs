//! The filter itself.

use crate::answer::judge;
use crate::config::Config;
use crate::question::Questions;
use crate::service::Service;
use plugin_api::{Code, Filter, Flow, PluginError, Request, Result};

/// Lets a proposal pass that the service lets pass.
pub(crate) struct ExtAuthz {
    service: Service,
    questions: Questions,
    set: Vec<String>,
}

impl ExtAuthz {
    pub(crate) fn new(config: Config) -> std::result::Result<Self, String> {
        Ok(Self {
            service: Service::new(&config)?,
            questions: Questions::new(&config),
            set: config.set,
        })
    }
}

impl Filter for ExtAuthz {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        let too_large = |text| PluginError::new(Code::RESOURCE_EXHAUSTED, text);
        let question = self.questions.about(request).map_err(too_large)?;
        let answer = self.service.check(question).await?;
        for (name, value) in judge(answer, &self.set)? {
            if !request.set_attr(format!("ext-authz.{name}").as_str().into(), value.into()) {
                let text = format!(
                    "the peer did not take {name} from the authorization service: too many facts, or too long"
                );
                return Err(too_large(text));
            }
        }
        Ok(Flow::Continue)
    }
}
