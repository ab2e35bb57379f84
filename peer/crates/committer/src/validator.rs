//! The validator: every transaction on its own, in parallel, then what their order decides.

use std::sync::Arc;

use bytes::Bytes;
use protos::common::{Block, ConfigEnvelope};
use protos::peer::TxValidationCode as Code;
use protos::{TxId, UnpackedEnvelope, decode_as_go, wire_message};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::action_context::BlockContext;
use crate::block::{Verdict, settle_duplicates, settle_key_policies};
use crate::definitions::Definitions;
use crate::envelope::{Kind, check_envelope};
use crate::failure::{Failure, Invalid, ValidationError};
use crate::namespaces::Scope;
use crate::plugins::PluginSource;
use crate::rules::{ChannelRules, CommittedState, ConfigRefusal};
use crate::transaction::EndorserTransaction;
use crate::upgrades::{Invoked, settle};

/// Validates blocks on a pool of threads that all channels share.
pub struct TxValidator {
    pool: ThreadPool,
    plugins: Arc<dyn PluginSource>,
}

impl TxValidator {
    /// Starts the pool. `pool_size` is `peer.validatorPoolSize`; 0 means one thread per processor. `plugins` judge whether
    /// transactions were endorsed as they must be.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(pool_size: usize, plugins: Arc<dyn PluginSource>) -> Result<Self, ValidationError> {
        let builder = ThreadPoolBuilder::new()
            .num_threads(pool_size)
            .thread_name(|index| format!("validator-{index}"));
        Ok(Self {
            pool: builder.build().map_err(ValidationError::Pool)?,
            plugins,
        })
    }

    /// The validation code of every transaction of a block, before MVCC. Blocks until the block is done: call it
    /// where blocking is allowed.
    ///
    /// # Errors
    /// When the peer cannot tell: then nothing may be committed.
    pub fn validate(
        &self,
        state: Arc<dyn CommittedState>,
        rules: &ChannelRules,
        block: &Block,
    ) -> Result<Vec<Code>, ValidationError> {
        let data = block
            .data
            .as_ref()
            .map(|data| data.data.as_slice())
            .unwrap_or_default();
        let number = block.header.as_ref().map_or(0, |header| header.number);
        let context = Arc::new(BlockContext::new(state, rules.clone(), number));
        let verdicts = self.judge(&context, data)?;
        let mut updated = Default::default();
        let mut codes = Vec::with_capacity(verdicts.len());
        let mut invoked = Vec::with_capacity(verdicts.len());
        for (index, verdict) in verdicts.iter().enumerate() {
            let settled = match verdict {
                Verdict::Invalid(invalid) => Err(invalid.clone()),
                Verdict::Config if verdicts.len() > 1 => Err(not_alone()),
                Verdict::Config => Ok(()),
                Verdict::Endorser { namespaces, .. } => settle_key_policies(namespaces, &mut updated),
            };
            let code = code_of(settled, rules, block, index);
            codes.push(code);
            invoked.push(match verdict {
                Verdict::Endorser { invoked, .. } if code == Code::Valid => Some(invoked.clone()),
                _ => None,
            });
        }
        if rules.capabilities.forbid_duplicate_tx_id_in_block {
            settle_duplicates(&mut codes, &verdicts);
        }
        if !rules.capabilities.lifecycle_v20 {
            settle(&mut codes, &invoked);
        }
        Ok(codes)
    }

    fn judge(&self, block: &Arc<BlockContext>, data: &[Bytes]) -> Result<Vec<Verdict>, ValidationError> {
        let plugins = self.plugins.of_block();
        let definitions = Definitions::new(block, &*plugins);
        let scope = Scope {
            block,
            definitions: &definitions,
        };
        let judged = self.pool.install(|| {
            let numbered = data.par_iter().enumerate();
            let verdicts = numbered.map(|numbered| judge_transaction(numbered, &scope));
            verdicts.collect::<Vec<_>>()
        });
        let verdicts = judged.into_iter().enumerate();
        verdicts
            .map(|(index, verdict)| match verdict {
                Ok(verdict) => Ok(verdict),
                Err(failure) => failure.into_invalid(index).map(Verdict::Invalid),
            })
            .collect()
    }
}

/// A new configuration takes effect between blocks, so nothing else may be in its block. Orderers see to that.
fn not_alone() -> Invalid {
    Invalid::new(
        Code::InvalidConfigTransaction,
        "configuration transaction is not alone in its block",
    )
}

fn code_of(settled: Result<(), Invalid>, rules: &ChannelRules, block: &Block, index: usize) -> Code {
    let Err(invalid) = settled else {
        return Code::Valid;
    };
    let number = block.header.as_ref().map(|header| header.number);
    let (code, reason) = (invalid.code, invalid.reason);
    tracing::warn!(channel = %rules.channel, block = number, transaction = index, ?code, reason, "transaction is invalid");
    code
}

fn judge_transaction(numbered: (usize, &Bytes), scope: &Scope<'_>) -> Result<Verdict, Failure> {
    let checked = check_envelope(numbered.1, &scope.block.rules.msps)?;
    match checked.kind {
        Kind::Config => {
            check_channel(&checked.envelope, scope)?;
            check_config(checked.envelope, scope)?;
            Ok(Verdict::Config)
        }
        Kind::Endorser => judge_endorser_transaction(numbered, checked.envelope, scope),
    }
}

fn judge_endorser_transaction(
    numbered: (usize, &Bytes),
    envelope: UnpackedEnvelope,
    scope: &Scope<'_>,
) -> Result<Verdict, Failure> {
    let transaction = EndorserTransaction::new(envelope)?;
    check_channel(&transaction.envelope, scope)?;
    let tx_id = TxId::from(transaction.envelope.channel_header.tx_id.as_str());
    if scope
        .block
        .state
        .tx_id_exists(&tx_id)
        .map_err(Failure::Unreadable)?
    {
        let reason = format!("duplicate transaction id {tx_id}");
        return Err(Invalid::new(Code::DuplicateTxid, reason).into());
    }
    let action = transaction.action(scope.block.rules.capabilities.lifecycle_v20)?;
    let invoked = Invoked::new(&transaction, &action);
    let namespaces = scope.judge(numbered, transaction, action)?;
    Ok(Verdict::Endorser {
        tx_id,
        namespaces,
        invoked,
    })
}

fn check_channel(envelope: &UnpackedEnvelope, scope: &Scope<'_>) -> Result<(), Invalid> {
    let channel = envelope.channel_header.channel_id.as_str();
    if channel == scope.block.rules.channel.as_str() {
        return Ok(());
    }
    Err(Invalid::new(
        Code::TargetChainNotFound,
        format!("transaction is for channel {channel}"),
    ))
}

fn check_config(envelope: UnpackedEnvelope, scope: &Scope<'_>) -> Result<(), Failure> {
    let bad = |reason: String| Invalid::new(Code::InvalidConfigTransaction, reason);
    let config = decode_as_go::<ConfigEnvelope>(envelope.data).map_err(|error| bad(error.to_string()))?;
    let judged = scope.block.rules.config.validate_config(&config);
    judged.map_err(|refusal| match refusal {
        ConfigRefusal::Invalid(error) => bad(wire_message(&*error)).into(),
        ConfigRefusal::Unsupported(error) => Failure::UnsupportedConfig(error),
    })
}
