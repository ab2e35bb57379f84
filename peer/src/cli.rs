//! The command line: what can be asked, nothing of how it is done. Flags are Fabric's where they exist.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub mod chaincode;
pub mod channel;
pub mod config;
mod connection_profile;
pub mod context;
pub mod go_flags;
pub mod local;
pub mod output;
pub mod plugin;
pub mod progress;

/// Exit codes, as `peer --help` documents them.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed; the reason is on standard error
  2  the command line is wrong
  3  a check has run to its end and found something (plugin verify, plugin test); what it is is printed";

/// The error of a check that has run to its end and found something; the process ends with 3 then.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Wanting(pub String);

/// The endorsing peer for Hyperledger Fabric that its users extend without rebuilding it.
#[derive(Debug, Parser)]
#[command(name = "peer", version, after_help = EXIT_CODES, args_override_self = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

impl Cli {
    /// Reads a command line, the program's name first. Switches are taken as Fabric's scripts write them.
    ///
    /// # Errors
    /// When the command line is wrong, and when it asks for help.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(go_flags::normalised(&Self::command(), arguments))
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document on standard output.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the peer.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Create, join and look at channels.
    #[command(after_help = WHO_AND_WHERE)]
    Channel(ChannelArgs),
    /// Package, install, instantiate and call chaincode.
    #[command(after_help = WHO_AND_WHERE)]
    Chaincode(Box<ChaincodeArgs>),
    /// Look at the plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring up a network of one organisation in this process: CA, orderer, channel, peer.
    #[command(after_help = "\
Examples:
  peer dev                                  a network with the channel 'mychannel'
  peer dev --chaincode ./mycc               … with this chaincode, rebuilt when its files change
  . ./fabric-dev/env.sh                     … then, in another terminal, use it:
  peer chaincode invoke -C mychannel -n mycc -c '{\"Args\":[\"put\",\"a\",\"1\"]}' --waitForEvent")]
    Dev(DevArgs),
    /// Print the versions of the peer, the plugin contract and the wire protocol.
    Version,
}

/// `peer node …`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Run the peer until SIGINT or SIGTERM.
    #[command(after_help = "\
Configuration: the shipped core.yaml, then core.yaml in FABRIC_CFG_PATH (else the current folder, else
/etc/hyperledger/fabric, else the config folder beside the program's bin), then CORE_* variables. What is in force, and
whence: peer config print. What is logged: FABRIC_LOGGING_SPEC, as in info:msp=debug.

Example:
  FABRIC_CFG_PATH=/etc/hyperledger/fabric CORE_PEER_ID=peer0 peer node start")]
    Start {
        /// Accept chaincode that the user starts; the peer launches none.
        #[arg(long = "peer-chaincodedev")]
        chaincode_dev: bool,
    },
}

/// The orderer to send to. As in Fabric, every command below `channel` and `chaincode` takes these.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Orderer")]
pub struct OrdererArgs {
    /// Ordering service endpoint, host:port. Default: from the channel's configuration.
    #[arg(short = 'o', long = "orderer", global = true)]
    pub orderer: Option<String>,
    /// Use TLS towards the orderer.
    #[arg(long, global = true)]
    pub tls: bool,
    /// PEM file with the trusted roots of the orderer's certificate.
    #[arg(long, global = true)]
    pub cafile: Option<PathBuf>,
    /// The name expected in the orderer's certificate.
    #[arg(long = "ordererTLSHostnameOverride", global = true)]
    pub hostname_override: Option<String>,
    /// Present a client certificate to the orderer.
    #[arg(long, global = true)]
    pub clientauth: bool,
    /// PEM file with the client's key, for --clientauth.
    #[arg(long, global = true)]
    pub keyfile: Option<PathBuf>,
    /// PEM file with the client's certificate, for --clientauth.
    #[arg(long, global = true)]
    pub certfile: Option<PathBuf>,
    /// How long connecting to the orderer may take.
    #[arg(long = "connTimeout", global = true, default_value = "3s")]
    pub conn_timeout: String,
    /// Accepted as in Fabric, at 0 only: the clock of certificate checks cannot be shifted.
    #[arg(
        long = "tlsHandshakeTimeShift",
        global = true,
        default_value = "0s",
        hide = true
    )]
    pub handshake_time_shift: String,
}

/// The peers to ask.
#[derive(Clone, Debug, Default, Args)]
pub struct PeerArgs {
    /// Endorsing peer, host:port; may be repeated. Default: peer.address.
    #[arg(long = "peerAddresses")]
    pub addresses: Vec<String>,
    /// PEM file with the trusted roots of each --peerAddresses, in the same order.
    #[arg(long = "tlsRootCertFiles")]
    pub tls_roots: Vec<PathBuf>,
    /// Connection profile, YAML or JSON: its endorsing peers of the channel replace --peerAddresses.
    #[arg(long = "connectionProfile")]
    pub connection_profile: Option<PathBuf>,
}

/// `peer channel …`
#[derive(Debug, Args)]
pub struct ChannelArgs {
    /// The orderer.
    #[command(flatten)]
    pub orderer: OrdererArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: ChannelCommand,
}

/// `peer channel …`
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Create a channel and write its genesis block.
    #[command(after_help = "Example:\n  peer channel create -o localhost:7050 -c mychannel -f mychannel.tx")]
    Create {
        /// The new channel's name.
        #[arg(short = 'c', short_alias = 'C', long = "channelID")]
        channel: String,
        /// The channel creation transaction, as configtxgen writes it.
        #[arg(short = 'f', long)]
        file: Option<PathBuf>,
        /// Where the genesis block goes. Default: ./CHANNEL.block
        #[arg(long = "outputBlock")]
        output_block: Option<PathBuf>,
        /// How long to wait for the new channel.
        #[arg(short = 't', long, default_value = "10s")]
        timeout: String,
    },
    /// Let the peer join a channel.
    #[command(after_help = "Example:\n  peer channel join -b mychannel.block")]
    Join {
        /// The channel's genesis block.
        #[arg(short = 'b', long = "blockpath")]
        block: PathBuf,
    },
    /// List the channels that the peer has joined.
    List,
    /// Print the height and the hashes of a channel.
    Getinfo {
        /// The channel.
        #[arg(short = 'c', short_alias = 'C', long = "channelID")]
        channel: String,
    },
    /// Fetch a block and write it to a file.
    #[command(after_help = "Example:\n  peer channel fetch config -c mychannel -o localhost:7050")]
    Fetch {
        /// newest, oldest, config or a block number.
        which: String,
        /// Where the block goes. Default: ./CHANNEL_WHICH.block
        file: Option<PathBuf>,
        /// The channel.
        #[arg(short = 'c', short_alias = 'C', long = "channelID")]
        channel: String,
        /// Take the block also from an orderer that says it is in trouble.
        #[arg(long = "bestEffort")]
        best_effort: bool,
    },
    /// Send a configuration update.
    Update {
        /// The channel.
        #[arg(short = 'c', short_alias = 'C', long = "channelID")]
        channel: String,
        /// The configuration update, an envelope.
        #[arg(short = 'f', long)]
        file: PathBuf,
    },
    /// Add a signature to a configuration update, in place.
    Signconfigtx {
        /// The configuration update, an envelope.
        #[arg(short = 'f', long)]
        file: PathBuf,
    },
}

/// Who calls whom, for the commands that ask a peer.
const WHO_AND_WHERE: &str = "\
The identity is that of CORE_PEER_MSPCONFIGPATH and CORE_PEER_LOCALMSPID, the peer that of CORE_PEER_ADDRESS; for a network
of `peer dev`, `. fabric-dev/env.sh` sets them all.";

/// What --ctor is in Fabric when it is not given.
const NO_CALL: &str = "{}";

/// Name and version of a chaincode.
#[derive(Clone, Debug, Args)]
pub struct ChaincodeName {
    /// The chaincode's name.
    #[arg(short = 'n', long)]
    pub name: String,
    /// The chaincode's version.
    #[arg(short = 'v', long)]
    pub version: String,
}

/// Where a chaincode's source is.
#[derive(Clone, Debug, Args)]
pub struct ChaincodeSourceArgs {
    /// The chaincode's folder.
    #[arg(short = 'p', long)]
    pub path: PathBuf,
    /// The chaincode's language: one of the loaded platforms.
    #[arg(short = 'l', long, default_value = "golang")]
    pub lang: String,
    /// The input to put into the package, as Fabric does; nothing reads it.
    #[arg(short = 'c', long, default_value = NO_CALL)]
    pub ctor: String,
}

/// A call of a chaincode.
#[derive(Clone, Debug, Args)]
pub struct CallArgs {
    /// The channel.
    #[arg(short = 'C', long = "channelID")]
    pub channel: String,
    /// The chaincode's name.
    #[arg(short = 'n', long)]
    pub name: String,
    /// The call: {"Args":["function","argument",…]} or {"function":"…","Args":[…]}.
    #[arg(short = 'c', long, default_value = NO_CALL)]
    pub ctor: String,
    /// The peers.
    #[command(flatten)]
    pub peers: PeerArgs,
}

/// What instantiate and upgrade share.
#[derive(Clone, Debug, Args)]
pub struct DeployArgs {
    /// The channel.
    #[arg(short = 'C', long = "channelID")]
    pub channel: String,
    /// Name and version.
    #[command(flatten)]
    pub id: ChaincodeName,
    /// Arguments of Init: {"Args":[…]}.
    #[arg(short = 'c', long, default_value = NO_CALL)]
    pub ctor: String,
    /// The endorsement policy, such as "OR('Org1MSP.member','Org2MSP.member')".
    #[arg(short = 'P', long)]
    pub policy: Option<String>,
    /// The endorsement plugin.
    #[arg(short = 'E', long, default_value = "escc")]
    pub escc: String,
    /// The validation plugin.
    #[arg(short = 'V', long, default_value = "vscc")]
    pub vscc: String,
    /// The chaincode's language. Accepted as in Fabric; the installed package decides.
    #[arg(short = 'l', long, default_value = "golang")]
    pub lang: String,
    /// The peers.
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Private data collections, a JSON file in Fabric's form.
    #[arg(long = "collections-config")]
    pub collections_config: Option<PathBuf>,
    /// The chaincode's folder. Accepted by upgrade as in Fabric; the installed package decides.
    #[arg(short = 'p', long)]
    pub path: Option<PathBuf>,
    /// Wait until the transaction is committed. Fabric's CLI does not for these two; here it may.
    #[arg(long = "waitForEvent")]
    pub wait_for_event: bool,
    /// How long to wait for the commit.
    #[arg(long = "waitForEventTimeout", default_value = "30s")]
    pub wait_for_event_timeout: String,
}

/// What install installs.
#[derive(Clone, Debug, Args)]
pub struct InstallArgs {
    /// The package file; instead of -p. With -n or -v it must be the package of that name and version.
    pub file: Option<PathBuf>,
    /// The chaincode's name.
    #[arg(short = 'n', long)]
    pub name: Option<String>,
    /// The chaincode's version.
    #[arg(short = 'v', long)]
    pub version: Option<String>,
    /// The chaincode's folder.
    #[arg(short = 'p', long)]
    pub path: Option<PathBuf>,
    /// The chaincode's language: one of the loaded platforms.
    #[arg(short = 'l', long, default_value = "golang")]
    pub lang: String,
    /// The input to put into the package, as Fabric does; nothing reads it.
    #[arg(short = 'c', long, default_value = NO_CALL)]
    pub ctor: String,
    /// The peers.
    #[command(flatten)]
    pub peers: PeerArgs,
}

/// What package writes.
#[derive(Clone, Debug, Args)]
pub struct PackageArgs {
    /// Name and version.
    #[command(flatten)]
    pub id: ChaincodeName,
    /// The source.
    #[command(flatten)]
    pub source: ChaincodeSourceArgs,
    /// Make a signed package: owner endorsement and instantiation policy.
    #[arg(short = 's', long = "cc-package")]
    pub signed: bool,
    /// Add this identity's signature to the signed package.
    #[arg(short = 'S', long)]
    pub sign: bool,
    /// Instantiation policy of the signed package. Default: an admin of this organisation.
    #[arg(short = 'i', long = "instantiate-policy")]
    pub instantiation_policy: Option<String>,
    /// The package file.
    pub file: PathBuf,
}

/// `peer chaincode …`
#[derive(Debug, Args)]
pub struct ChaincodeArgs {
    /// The orderer.
    #[command(flatten)]
    pub orderer: OrdererArgs,
    /// Data that never reaches the ledger: {"key":"base64",…}.
    #[arg(long, global = true)]
    pub transient: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: ChaincodeCommand,
}

/// `peer chaincode …`
#[derive(Debug, Subcommand)]
pub enum ChaincodeCommand {
    /// Write a chaincode package to a file.
    #[command(after_help = "Example:\n  peer chaincode package -n mycc -v 1.0 -l node -p ./mycc mycc.cds")]
    Package(PackageArgs),
    /// Add this identity's signature to a signed package.
    Signpackage {
        /// The package file, made with `package -s -S`.
        from: PathBuf,
        /// Where the package with one more signature goes.
        to: PathBuf,
    },
    /// Install a package, or package and install a folder, on the peer.
    #[command(after_help = "\
Examples:
  peer chaincode install mycc.cds
  peer chaincode install -n mycc -v 1.0 -l node -p ./mycc")]
    Install(InstallArgs),
    /// Define an installed chaincode on a channel and run its Init.
    #[command(after_help = "\
Example:
  peer chaincode instantiate -C mychannel -n mycc -v 1.0 -c '{\"Args\":[]}' --waitForEvent")]
    Instantiate(DeployArgs),
    /// Replace the version of a chaincode on a channel and run its Init.
    #[command(after_help = "\
Example:
  peer chaincode upgrade -C mychannel -n mycc -v 1.1 -c '{\"Args\":[]}' --waitForEvent")]
    Upgrade(DeployArgs),
    /// Call a chaincode and submit the endorsements for ordering.
    #[command(after_help = "\
Examples:
  peer chaincode invoke -C mychannel -n mycc -c '{\"Args\":[\"put\",\"a\",\"1\"]}' --waitForEvent
  peer chaincode invoke -C mychannel -n mycc -c '{\"function\":\"put\",\"Args\":[\"a\",\"1\"]}' --output json")]
    Invoke {
        /// The call.
        #[command(flatten)]
        call: CallArgs,
        /// Wait until the transaction is committed on every peer asked.
        #[arg(long = "waitForEvent")]
        wait_for_event: bool,
        /// How long to wait for the commit.
        #[arg(long = "waitForEventTimeout", default_value = "30s")]
        wait_for_event_timeout: String,
        /// Mark the call as the chaincode's initialisation.
        #[arg(short = 'I', long = "isInit")]
        is_init: bool,
    },
    /// Call a chaincode and print its answer; nothing is submitted.
    #[command(after_help = "\
Example:
  peer chaincode query -C mychannel -n mycc -c '{\"Args\":[\"get\",\"a\"]}'")]
    Query {
        /// The call.
        #[command(flatten)]
        call: CallArgs,
        /// Print the raw bytes.
        #[arg(short = 'r', long)]
        raw: bool,
        /// Print the bytes in hexadecimal.
        #[arg(short = 'x', long)]
        hex: bool,
    },
    /// List installed packages, or the chaincodes of a channel.
    #[command(
        group = clap::ArgGroup::new("which").args(["installed", "instantiated"]).required(true),
        after_help = "\
Examples:
  peer chaincode list --installed
  peer chaincode list --instantiated -C mychannel")]
    List {
        /// List what is installed on the peer.
        #[arg(long)]
        installed: bool,
        /// List what is defined on the channel.
        #[arg(long, requires = "channel")]
        instantiated: bool,
        /// The channel.
        #[arg(short = 'C', long = "channelID")]
        channel: Option<String>,
        /// The peers.
        #[command(flatten)]
        peers: PeerArgs,
    },
    /// Print all that builds and instances of a chaincode have printed. For use beside the peer: reads its folder
    /// (peer.fileSystemPath).
    #[command(after_help = "\
Examples:
  peer chaincode logs mycc:1.0                the last lines of build and run
  peer chaincode logs mycc:1.0 --tail 0       everything that is kept
  peer chaincode logs mycc:1.0 --build --output json")]
    Logs {
        /// Name and version, as in name:version.
        id: String,
        /// Only what builds have printed.
        #[arg(long, conflicts_with = "run")]
        build: bool,
        /// Only what instances have printed.
        #[arg(long)]
        run: bool,
        /// How many of the last lines of each; 0: all.
        #[arg(long, default_value_t = 200)]
        tail: usize,
    },
    /// Remove images, containers, builds, caches and logs of chaincodes that are no longer installed. For use beside the
    /// peer: reads its folder (peer.fileSystemPath) and its engine (vm.endpoint); what other peers have made, and
    /// what is installed here, stays. To uninstall a chaincode, delete its file in peer.fileSystemPath/chaincodes.
    #[command(after_help = "\
Examples:
  peer chaincode gc --dry-run       show what would be removed
  peer chaincode gc --output json")]
    Gc {
        /// Remove nothing, only say what would be removed.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `peer plugin …`
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Load the plugins that core.yaml names, as the peer would, and list them.
    #[command(after_help = "\
Examples:
  peer plugin list               what a peer with this configuration would load
  peer plugin list --running     what the peer at peer.address runs, with counts")]
    List {
        /// Ask the running peer, as an admin of its organisation.
        #[arg(long)]
        running: bool,
    },
    /// Have the running peer read peer.handlers again and exchange its plugins, as SIGHUP does.
    #[command(after_help = "\
Requests that are under way end on the chain that they began with. When an entry cannot be loaded, nothing changes and the
exit code is 1.

Example:
  CORE_PEER_MSPCONFIGPATH=$ADMIN/msp CORE_PEER_ADDRESS=peer0:7051 peer plugin reload")]
    Reload,
    /// Print which auth filters and decorators a proposal would meet, in their order. What is not given is left open.
    #[command(after_help = "\
Examples:
  peer plugin explain --channel trade --chaincode pay
  peer plugin explain --chaincode pay --function transfer --mspid Org1MSP --running")]
    Explain {
        /// The proposal.
        #[command(flatten)]
        question: QuestionArgs,
        /// Ask the running peer, as an admin of its organisation.
        #[arg(long)]
        running: bool,
    },
    /// Print what a plugin library says of itself, without running any code of it.
    #[command(after_help = "\
Example:
  peer plugin inspect /usr/local/lib/fabric-peer/plugins/libmspid_allow.so --output json")]
    Inspect {
        /// The library.
        file: PathBuf,
    },
    /// Check every entry of peer.handlers, without running any code of a plugin: pin, owner and mode of the file and
    /// of everything on the way to it, links, manifest, and the config against the plugin's schema (of plugins built
    /// with API 1.0 only loading can tell the schema).
    #[command(after_help = "\
Exit codes:
  0  everything is as it must be
  1  the configuration cannot be read
  3  deviations; each is printed with its entry

Examples:
  peer plugin verify
  peer plugin verify --output json | jq -r '.entries[] | select(.pin == \"missing\") | .name'")]
    Verify,
    /// Write a crate that is a plugin: it builds, its tests pass, and it says in its README how to use it.
    #[command(after_help = "\
Examples:
  peer plugin new auth-filter org-allow
  peer plugin new validation creators
  peer plugin new platform lua --path ~/src/platform-lua --api ~/src/plugin-api")]
    New(plugin::new::NewArgs),
    /// Run the conformance kit against a library: order, determinism, empty and 10 MiB input, garbage, panics, leaks,
    /// concurrent and cancelled calls, nothing on standard output. Every check runs in a process of its own.
    #[command(after_help = "\
Exit codes:
  0  no check failed
  1  the library is no plugin that this peer could load, or the configuration is no JSON
  3  a check failed; a crash or a hang of the plugin is one

Examples:
  peer plugin test target/release/liborg_allow.so --config '{\"allow\":[\"Org1MSP\"]}'
  peer plugin test target/release/liblua.so --config @config.json --sources ./mycc --output json
  peer plugin test target/release/liblua.so --check platform/garbage")]
    Test(plugin::test::TestArgs),
    /// Make one check of `test` in this process.
    #[command(hide = true)]
    TestCheck(plugin::test::CheckArgs),
}

/// A proposal as `peer plugin explain` takes it.
#[derive(Clone, Debug, Default, Args)]
pub struct QuestionArgs {
    /// The channel; "" is a proposal without one.
    #[arg(long)]
    pub channel: Option<String>,
    /// The chaincode.
    #[arg(long)]
    pub chaincode: Option<String>,
    /// The first argument.
    #[arg(long)]
    pub function: Option<String>,
    /// The MSP id of the proposal's creator.
    #[arg(long)]
    pub mspid: Option<String>,
}

/// `peer config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration: exit code 1 and every fault found, or 0.
    Check,
    /// Print each value in force, after all layers, and the layer that it came from.
    #[command(after_help = "\
Example:
  peer config print --output json | jq -r '.[] | select(.key == \"peer.address\") | .source'")]
    Print {
        /// What this command prints, said explicitly.
        #[arg(long)]
        effective: bool,
    },
}

/// `peer dev …`
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// Where identities, ledger and the connection profile go. Kept between runs with the same --dir.
    #[arg(long, default_value = "fabric-dev")]
    pub dir: PathBuf,
    /// Start afresh: delete --dir, if it is one of ours, first.
    #[arg(long)]
    pub reset: bool,
    /// The channel.
    #[arg(short = 'C', long, default_value = "mychannel")]
    pub channel: String,
    /// A chaincode folder to package, install, instantiate, and rebuild when its files change.
    #[arg(long)]
    pub chaincode: Option<PathBuf>,
    /// The chaincode's name. Default: the folder's name.
    #[arg(short = 'n', long)]
    pub name: Option<String>,
    /// The chaincode's language. Default: guessed from the folder by the loaded platforms.
    #[arg(short = 'l', long)]
    pub lang: Option<String>,
    /// Arguments of Init: {"Args":[…]}.
    #[arg(short = 'c', long, default_value = r#"{"Args":[]}"#)]
    pub ctor: String,
    /// Port of the peer; 0 takes a free one. The chaincode listener takes the next.
    #[arg(long, default_value_t = 7051)]
    pub port: u16,
    /// Port of the orderer; 0 takes a free one.
    #[arg(long, default_value_t = 7050)]
    pub orderer_port: u16,
    /// Without TLS.
    #[arg(long)]
    pub no_tls: bool,
}

#[cfg(test)]
mod tests;
