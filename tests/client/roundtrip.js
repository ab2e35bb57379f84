'use strict';

// fabric-network 2.2 against a running network. Usage:
//   node roundtrip.js <connection-profile.json> <wallet folder> <channel> <chaincode>
// Prints one JSON object with what the client saw; any failure is a non-zero exit.

const fs = require('fs');
const { Gateway, Wallets, DefaultEventHandlerStrategies } = require('fabric-network');

async function main([profilePath, walletPath, channel, chaincode]) {
    const profile = JSON.parse(fs.readFileSync(profilePath, 'utf8'));
    // the client gives up after 3 seconds; the machine may be busy with something else
    for (const node of [...Object.values(profile.peers), ...Object.values(profile.orderers)]) {
        node.grpcOptions = { ...node.grpcOptions, 'grpc-wait-for-ready-timeout': 60000 };
    }
    const wallet = await Wallets.newFileSystemWallet(walletPath);
    const gateway = new Gateway();
    await gateway.connect(profile, {
        wallet,
        identity: 'User1',
        discovery: { enabled: false },
        eventHandlerOptions: {
            commitTimeout: 60,
            strategy: DefaultEventHandlerStrategies.MSPID_SCOPE_ALLFORTX,
        },
    });
    const seen = {};
    try {
        const network = await gateway.getNetwork(channel);
        const contract = network.getContract(chaincode);

        const event = new Promise((resolve) => {
            contract.addContractListener(async (found) => {
                if (found.eventName === 'transfer') {
                    const transaction = found.getTransactionEvent();
                    resolve({
                        name: found.eventName,
                        payload: found.payload ? found.payload.toString() : null,
                        transactionId: transaction.transactionId,
                        isValid: transaction.isValid,
                        block: Number(transaction.getBlockEvent().blockNumber),
                    });
                }
            });
        });

        await contract.submitTransaction('put', 'alice', '100');
        seen.evaluated = (await contract.evaluateTransaction('get', 'alice')).toString();

        const transfer = contract.createTransaction('transfer');
        seen.transactionId = transfer.getTransactionId();
        await transfer.submit('alice', 'bob', '30');
        seen.event = await event;
        seen.alice = (await contract.evaluateTransaction('get', 'alice')).toString();
        seen.bob = (await contract.evaluateTransaction('get', 'bob')).toString();

        const secret = contract.createTransaction('transient').setTransient({ word: Buffer.from('hidden') });
        seen.transient = (await secret.evaluate('word')).toString();

        seen.refused = await contract.submitTransaction('transfer', 'alice', 'bob', '1000').then(
            () => null,
            (error) => error.message,
        );

        const qscc = network.getContract('qscc');
        seen.chainInfoBytes = (await qscc.evaluateTransaction('GetChainInfo', channel)).length;
    } finally {
        gateway.disconnect();
    }
    return seen;
}

main(process.argv.slice(2)).then(
    (seen) => console.log(JSON.stringify(seen)),
    (error) => {
        console.error(error.stack);
        process.exitCode = 1;
    },
);
