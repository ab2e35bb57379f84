//! How long simulations and commits take: `cargo run --release -p ledger --example simulate [keys] [folder]`.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger::{Config, KvLedger, LedgerProvider};
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::new_block;
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ProposalResponsePayload, Response,
    Transaction, TransactionAction, TxValidationCode,
};

const NAMESPACE: &str = "bench";

/// Transactions per block, as a usual batch size.
const BLOCK: usize = 500;

/// Repetitions of what takes microseconds.
const REPEAT: u32 = 10_000;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let keys: usize = arguments.next().map_or(Ok(10_000), |keys| keys.parse())?;
    let folder = arguments.next().map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let provider = LedgerProvider::open(Config::new(folder))?;
    let genesis = new_block(
        0,
        Bytes::new(),
        vec![envelope(HeaderType::Config, "", Bytes::new())],
    );
    let ledger = provider.create(&"bench".into(), &genesis)?;

    let blocks = fill(&ledger, keys)?;
    report(
        "commit of one block of 500 transactions",
        blocks.0 / blocks.1.max(1),
    )?;
    let small = single_commits(&ledger)?;
    report("commit of one block of one transaction", small)?;
    report("open a simulator", open(&ledger))?;
    report("get", get(&ledger, keys)?)?;
    report(
        "simulate: get and put one key, results",
        get_and_put(&ledger, keys)?,
    )?;
    report(&format!("simulate: range of {keys} keys"), scan(&ledger)?)?;
    Ok(())
}

fn fill(ledger: &KvLedger, keys: usize) -> Result<(Duration, u32), Failure> {
    let keys: Vec<usize> = (0..keys).collect();
    let mut took = Duration::ZERO;
    let mut blocks = 0;
    for part in keys.chunks(BLOCK) {
        let mut envelopes = Vec::with_capacity(part.len());
        for index in part {
            let simulator = ledger.new_tx_simulator(&"tx".into());
            simulator.set_state(NAMESPACE, &key(*index), Bytes::from(vec![b'v'; 200]))?;
            envelopes.push(transaction(&format!("fill{index}"), simulator.results()?.public));
        }
        took += commit(ledger, envelopes)?;
        blocks += 1;
    }
    Ok((took, blocks))
}

fn single_commits(ledger: &KvLedger) -> Result<Duration, Failure> {
    let mut took = Duration::ZERO;
    for index in 0..100 {
        let simulator = ledger.new_tx_simulator(&"tx".into());
        simulator.set_state(NAMESPACE, &key(index), Bytes::from_static(b"value"))?;
        let envelope = transaction(&format!("single{index}"), simulator.results()?.public);
        took += commit(ledger, vec![envelope])?;
    }
    Ok(took / 100)
}

fn open(ledger: &KvLedger) -> Duration {
    let start = Instant::now();
    for _ in 0..REPEAT {
        drop(ledger.new_tx_simulator(&"tx".into()));
    }
    start.elapsed() / REPEAT
}

fn get(ledger: &KvLedger, keys: usize) -> Result<Duration, Failure> {
    let start = Instant::now();
    let executor = ledger.new_query_executor();
    for index in (0..keys).cycle().step_by(7).take(usize::try_from(REPEAT)?) {
        executor.get_state(NAMESPACE, &key(index))?;
    }
    Ok(start.elapsed() / REPEAT)
}

fn get_and_put(ledger: &KvLedger, keys: usize) -> Result<Duration, Failure> {
    let start = Instant::now();
    for index in (0..keys).cycle().step_by(7).take(usize::try_from(REPEAT)?) {
        let simulator = ledger.new_tx_simulator(&"tx".into());
        simulator.get_state(NAMESPACE, &key(index))?;
        simulator.set_state(NAMESPACE, &key(index), Bytes::from_static(b"value"))?;
        simulator.results()?;
    }
    Ok(start.elapsed() / REPEAT)
}

fn scan(ledger: &KvLedger) -> Result<Duration, Failure> {
    let start = Instant::now();
    let simulator = ledger.new_tx_simulator(&"tx".into());
    let mut iterator = simulator.get_state_range_scan(NAMESPACE, "", "")?;
    while iterator.next()?.is_some() {}
    simulator.results()?;
    Ok(start.elapsed())
}

fn commit(ledger: &KvLedger, envelopes: Vec<Bytes>) -> Result<Duration, Failure> {
    let codes = vec![TxValidationCode::Valid; envelopes.len()];
    let info = ledger.chain_info();
    let block = new_block(info.height, info.current_block_hash, envelopes);
    let start = Instant::now();
    ledger.commit(block, codes)?;
    Ok(start.elapsed())
}

fn key(index: usize) -> String {
    format!("key{index:08}")
}

fn report(what: &str, took: Duration) -> Result<(), Failure> {
    Ok(writeln!(stdout(), "{took:>12.2?}  {what}")?)
}

fn transaction(tx_id: &str, results: Bytes) -> Bytes {
    let action = ChaincodeAction {
        results,
        response: Some(Response {
            status: 200,
            ..Default::default()
        }),
        ..Default::default()
    };
    let response = ProposalResponsePayload {
        extension: action.encode_to_vec().into(),
        ..Default::default()
    };
    let payload = ChaincodeActionPayload {
        action: Some(ChaincodeEndorsedAction {
            proposal_response_payload: response.encode_to_vec().into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let transaction = Transaction {
        actions: vec![TransactionAction {
            payload: payload.encode_to_vec().into(),
            ..Default::default()
        }],
    };
    envelope(
        HeaderType::EndorserTransaction,
        tx_id,
        transaction.encode_to_vec().into(),
    )
}

fn envelope(kind: HeaderType, tx_id: &str, data: Bytes) -> Bytes {
    let channel_header = ChannelHeader {
        r#type: kind.into(),
        tx_id: tx_id.to_owned(),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            ..Default::default()
        }),
        data,
    };
    let envelope = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    envelope.encode_to_vec().into()
}
