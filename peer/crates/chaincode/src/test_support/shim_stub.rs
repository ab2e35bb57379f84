//! What a scripted transaction can do: the calls of a real shim.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{
    ChaincodeId, ChaincodeInput, ChaincodeMessage, ChaincodeSpec, DelState, GetHistoryForKey, GetQueryResult,
    GetState, GetStateByRange, GetStateMetadata, GetStateMultiple, GetStateMultipleResult, PutState,
    PutStateMetadata, QueryMetadata, QueryResponse, QueryResponseMetadata, QueryStateClose, QueryStateNext,
    Response, SignedProposal, StateMetadata, StateMetadataResult,
};
use protos::queryresult::{KeyModification, Kv};

use super::fake_shim::ShimShared;

/// One transaction, as the script sees it. Errors are the peer's texts.
#[derive(Clone)]
pub struct ShimStub {
    shared: Arc<ShimShared>,
    kind: Type,
    channel: String,
    tx_id: String,
    proposal: Option<SignedProposal>,
    input: ChaincodeInput,
}

impl ShimStub {
    pub(super) fn new(shared: Arc<ShimShared>, message: &ChaincodeMessage) -> Self {
        Self {
            shared,
            kind: message.r#type(),
            channel: message.channel_id.clone(),
            tx_id: message.txid.clone(),
            proposal: message.proposal.clone(),
            input: ChaincodeInput::decode(message.payload.clone()).unwrap_or_default(),
        }
    }

    /// The transaction.
    #[must_use]
    pub fn tx_id(&self) -> &str {
        &self.tx_id
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Whether this is INIT.
    #[must_use]
    pub fn is_init(&self) -> bool {
        self.kind == Type::Init
    }

    /// The client's proposal.
    #[must_use]
    pub fn proposal(&self) -> Option<&SignedProposal> {
        self.proposal.as_ref()
    }

    /// The input with its decorations.
    #[must_use]
    pub fn input(&self) -> &ChaincodeInput {
        &self.input
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[Bytes] {
        &self.input.args
    }

    /// One argument; empty if there are fewer.
    #[must_use]
    pub fn arg(&self, index: usize) -> Bytes {
        self.input.args.get(index).cloned().unwrap_or_default()
    }

    /// One argument as text.
    #[must_use]
    pub fn text(&self, index: usize) -> String {
        String::from_utf8_lossy(&self.arg(index)).into_owned()
    }

    /// A message of this transaction.
    #[must_use]
    pub fn message(&self, kind: Type, payload: impl Into<Bytes>) -> ChaincodeMessage {
        ChaincodeMessage {
            r#type: kind.into(),
            payload: payload.into(),
            txid: self.tx_id.clone(),
            channel_id: self.channel.clone(),
            ..Default::default()
        }
    }

    /// Sends a message without waiting for anything.
    pub async fn send(&self, message: ChaincodeMessage) {
        self.shared.send(message).await;
    }

    /// Any request with any payload.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn request(&self, kind: Type, payload: impl Into<Bytes>) -> Result<Bytes, String> {
        let answer = self.shared.request(self.message(kind, payload)).await?;
        match Type::try_from(answer.r#type) {
            Ok(Type::Response) => Ok(answer.payload),
            _ => Err(String::from_utf8_lossy(&answer.payload).into_owned()),
        }
    }

    async fn ask<M: Message + Default>(&self, kind: Type, payload: &impl Message) -> Result<M, String> {
        let answer = self.request(kind, payload.encode_to_vec()).await?;
        M::decode(answer).map_err(|error| error.to_string())
    }

    /// GET_STATE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn get_state(&self, key: &str) -> Result<Bytes, String> {
        let get = GetState {
            key: key.into(),
            ..Default::default()
        };
        self.request(Type::GetState, get.encode_to_vec()).await
    }

    /// PUT_STATE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn put_state(&self, key: &str, value: impl Into<Bytes>) -> Result<(), String> {
        let put = PutState {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        self.request(Type::PutState, put.encode_to_vec()).await.map(drop)
    }

    /// DEL_STATE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn del_state(&self, key: &str) -> Result<(), String> {
        let delete = DelState {
            key: key.into(),
            ..Default::default()
        };
        self.request(Type::DelState, delete.encode_to_vec())
            .await
            .map(drop)
    }

    /// GET_STATE_MULTIPLE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn get_states(&self, keys: &[&str]) -> Result<Vec<Bytes>, String> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let get = GetStateMultiple {
            keys,
            ..Default::default()
        };
        let result: GetStateMultipleResult = self.ask(Type::GetStateMultiple, &get).await?;
        Ok(result.values)
    }

    /// GET_STATE_METADATA.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn get_state_metadata(&self, key: &str) -> Result<Vec<StateMetadata>, String> {
        let get = GetStateMetadata {
            key: key.into(),
            ..Default::default()
        };
        let result: StateMetadataResult = self.ask(Type::GetStateMetadata, &get).await?;
        Ok(result.entries)
    }

    /// PUT_STATE_METADATA.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn put_state_metadata(&self, key: &str, metakey: &str, value: &[u8]) -> Result<(), String> {
        let metadata = StateMetadata {
            metakey: metakey.into(),
            value: value.to_vec().into(),
        };
        let put = PutStateMetadata {
            key: key.into(),
            metadata: Some(metadata),
            ..Default::default()
        };
        self.request(Type::PutStateMetadata, put.encode_to_vec())
            .await
            .map(drop)
    }

    /// The first answer to GET_STATE_BY_RANGE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn begin_range(&self, start: &str, end: &str) -> Result<QueryResponse, String> {
        let range = GetStateByRange {
            start_key: start.into(),
            end_key: end.into(),
            ..Default::default()
        };
        self.ask(Type::GetStateByRange, &range).await
    }

    /// QUERY_STATE_NEXT.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn next(&self, id: &str) -> Result<QueryResponse, String> {
        self.ask(Type::QueryStateNext, &QueryStateNext { id: id.into() })
            .await
    }

    /// QUERY_STATE_CLOSE.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn close(&self, id: &str) -> Result<QueryResponse, String> {
        self.ask(Type::QueryStateClose, &QueryStateClose { id: id.into() })
            .await
    }

    /// All batches of a range.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn range_batches(&self, start: &str, end: &str) -> Result<Vec<QueryResponse>, String> {
        let mut batches = vec![self.begin_range(start, end).await?];
        while let Some(id) = batches
            .last()
            .filter(|last| last.has_more)
            .map(|last| last.id.clone())
        {
            batches.push(self.next(&id).await?);
        }
        Ok(batches)
    }

    /// All records of a range.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn range(&self, start: &str, end: &str) -> Result<Vec<Kv>, String> {
        let batches = self.range_batches(start, end).await?;
        batches
            .iter()
            .map(records::<Kv>)
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.concat())
    }

    /// One page of a range, with what the peer says of it.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn page(
        &self,
        range: (&str, &str),
        page_size: i32,
        bookmark: &str,
    ) -> Result<(Vec<Kv>, QueryResponseMetadata), String> {
        let metadata = QueryMetadata {
            page_size,
            bookmark: bookmark.into(),
        };
        let range = GetStateByRange {
            start_key: range.0.into(),
            end_key: range.1.into(),
            metadata: metadata.encode_to_vec().into(),
            ..Default::default()
        };
        let response: QueryResponse = self.ask(Type::GetStateByRange, &range).await?;
        let metadata = QueryResponseMetadata::decode(response.metadata.clone());
        Ok((records(&response)?, metadata.map_err(|error| error.to_string())?))
    }

    /// GET_QUERY_RESULT.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn rich_query(&self, query: &str) -> Result<QueryResponse, String> {
        let query = GetQueryResult {
            query: query.into(),
            ..Default::default()
        };
        self.ask(Type::GetQueryResult, &query).await
    }

    /// GET_HISTORY_FOR_KEY, all batches.
    ///
    /// # Errors
    /// The peer's text.
    pub async fn history(&self, key: &str) -> Result<Vec<KeyModification>, String> {
        let mut response: QueryResponse = self
            .ask(Type::GetHistoryForKey, &GetHistoryForKey { key: key.into() })
            .await?;
        let mut all = records(&response)?;
        while response.has_more {
            response = self.next(&response.id).await?;
            all.extend(records(&response)?);
        }
        Ok(all)
    }

    /// INVOKE_CHAINCODE; `target` is `name[:version][/channel]`.
    ///
    /// # Errors
    /// The peer's text, or that of a callee that answered ERROR.
    pub async fn invoke(&self, target: &str, args: &[&str]) -> Result<Response, String> {
        let spec = ChaincodeSpec {
            chaincode_id: Some(ChaincodeId {
                name: target.into(),
                ..Default::default()
            }),
            input: Some(ChaincodeInput {
                args: args
                    .iter()
                    .map(|arg| Bytes::copy_from_slice(arg.as_bytes()))
                    .collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer: ChaincodeMessage = self.ask(Type::InvokeChaincode, &spec).await?;
        match Type::try_from(answer.r#type) {
            Ok(Type::Completed) => Response::decode(answer.payload).map_err(|error| error.to_string()),
            _ => Err(String::from_utf8_lossy(&answer.payload).into_owned()),
        }
    }
}

/// The records of one answer.
fn records<M: Message + Default>(response: &QueryResponse) -> Result<Vec<M>, String> {
    let decode = |record: &protos::peer::QueryResultBytes| M::decode(record.result_bytes.clone());
    let records: Result<Vec<M>, _> = response.results.iter().map(decode).collect();
    records.map_err(|error| error.to_string())
}
