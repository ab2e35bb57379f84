//! Committing a block: judge it against the state, then store everything in one transaction.

use bytes::Bytes;
use prost::Message;
use protos::common::{Block, BlockMetadataIndex, HeaderType, Metadata};
use protos::peer::TxValidationCode;
use protos::{TxId, set_metadata};
use redb::WriteTransaction;

use crate::block_index::{advance, check_next, code_byte, is_config_block, write_block, write_transactions};
use crate::chain_state::ChainState;
use crate::commit_hash::commit_hash;
use crate::error::{CommitError, StoreError};
use crate::history;
use crate::mvcc::Validator;
use crate::rwset::TxRwSet;
use crate::snapshot::Snapshot;
use crate::transaction::BlockTx;
use crate::update_batch::UpdateBatch;
use crate::version::Version;

/// A block as it was committed.
#[derive(Clone, Debug)]
pub struct CommittedBlock {
    /// Its number.
    pub number: u64,
    /// The code of each transaction.
    pub codes: Vec<TxValidationCode>,
    /// The id of each transaction, empty where its headers do not decode.
    pub tx_ids: Vec<TxId>,
    /// The block with its final metadata.
    pub block: Block,
    /// The same, as stored.
    pub bytes: Bytes,
    /// The running hash over all that was committed; empty for the genesis block.
    pub commit_hash: Bytes,
    /// Namespaces whose public keys changed.
    pub updated_namespaces: Vec<String>,
}

/// Judges and writes a block within a database transaction.
pub(crate) fn commit_block(
    before: &Snapshot,
    transaction: &WriteTransaction,
    mut block: Block,
    mut codes: Vec<TxValidationCode>,
    history_enabled: bool,
) -> Result<(ChainState, CommittedBlock), CommitError> {
    let header = check_next(&before.chain, &block)?.clone();
    let envelopes = block.data.as_ref().map_or(&[][..], |data| data.data.as_slice());
    check_codes(&codes, envelopes.len())?;
    let txs: Vec<BlockTx> = envelopes.iter().cloned().map(BlockTx::read).collect();
    let (rwsets, updates) = judge(before, header.number, &txs, &mut codes)?;

    let filter: Bytes = codes.iter().copied().map(code_byte).collect();
    // a configuration that was refused is in force nowhere, also not after a restart
    let is_config = is_config_block(&txs) && codes == [TxValidationCode::Valid];
    let mut chain = advance(&before.chain, &header, is_config);
    chain.state_height = chain.height;
    // as Fabric: counted from the block after the genesis block, so that joining peers agree
    if header.number == 1 || !before.chain.commit_hash.is_empty() {
        chain.commit_hash = commit_hash(&filter, &updates, &before.chain.commit_hash);
        let metadata = Metadata {
            value: chain.commit_hash.clone(),
            ..Default::default()
        };
        let metadata = metadata.encode_to_vec().into();
        set_metadata(&mut block, BlockMetadataIndex::CommitHash, metadata);
    }
    set_metadata(&mut block, BlockMetadataIndex::TransactionsFilter, filter);

    let bytes: Bytes = block.encode_to_vec().into();
    write_block(transaction, &chain, &bytes)?;
    write_transactions(transaction, &block, &txs, &codes)?;
    updates.write(transaction)?;
    if history_enabled {
        let written = rwsets.iter().map(|(index, rwset)| (*index, rwset));
        history::write(transaction, header.number, written)?;
        chain.history_height = chain.height;
    }
    let public = updates.iter().filter(|(_, collection, _)| collection.is_empty());
    let committed = CommittedBlock {
        number: header.number,
        updated_namespaces: public.map(|(namespace, ..)| namespace.to_owned()).collect(),
        tx_ids: txs.iter().map(BlockTx::tx_id).collect(),
        commit_hash: chain.commit_hash.clone(),
        codes,
        block,
        bytes,
    };
    Ok((chain, committed))
}

fn check_codes(codes: &[TxValidationCode], transactions: usize) -> Result<(), CommitError> {
    if codes.len() != transactions {
        return Err(CommitError::WrongCodeCount {
            codes: codes.len(),
            transactions,
        });
    }
    match codes
        .iter()
        .position(|code| *code == TxValidationCode::NotValidated)
    {
        Some(index) => Err(CommitError::NotValidated(index)),
        None => Ok(()),
    }
}

/// Read-write sets of the valid endorser transactions, with their indexes.
type ValidRwSets = Vec<(u64, TxRwSet)>;

/// Lowers the codes of transactions that conflict and collects the changes of the others.
fn judge(
    before: &Snapshot,
    number: u64,
    txs: &[BlockTx],
    codes: &mut [TxValidationCode],
) -> Result<(ValidRwSets, UpdateBatch), StoreError> {
    let mut validator = Validator::new(before);
    let mut valid = Vec::new();
    for (index, (tx, code)) in (0u64..).zip(txs.iter().zip(codes)) {
        // configuration is no business of the state
        if *code != TxValidationCode::Valid || !tx.is(HeaderType::EndorserTransaction) {
            continue;
        }
        let rwset = match tx.rwset() {
            Ok(rwset) => rwset,
            Err(invalid) => {
                *code = invalid;
                continue;
            }
        };
        *code = validator.validate(&rwset, Version::new(number, index))?;
        if *code == TxValidationCode::Valid {
            valid.push((index, rwset));
        } else {
            tracing::warn!(block = number, tx = %tx.header.tx_id, code = code.as_str_name(), "transaction is invalid");
        }
    }
    Ok((valid, validator.into_updates()))
}
