'use strict';

const shim = require('fabric-shim');

const text = (bytes) => Buffer.from(bytes).toString('utf8');

/** Reads an iterator of a query to its end. */
async function collect(iterator, pick) {
    const found = [];
    for (let step = await iterator.next(); ; step = await iterator.next()) {
        if (step.value) {
            found.push(pick(step.value));
        }
        if (step.done) {
            await iterator.close();
            return found;
        }
    }
}

const functions = {
    async noop() {},

    async put(stub, key, value) {
        await stub.putState(key, Buffer.from(value));
    },

    async get(stub, key) {
        return stub.getState(key);
    },

    async del(stub, key) {
        await stub.deleteState(key);
    },

    /** Writes `count` keys `<prefix>0000`, `<prefix>0001`, … */
    async fill(stub, prefix, count) {
        for (let i = 0; i < Number(count); i += 1) {
            await stub.putState(`${prefix}${String(i).padStart(4, '0')}`, Buffer.from(`value ${i}`));
        }
    },

    async range(stub, start, end) {
        const iterator = await stub.getStateByRange(start, end);
        return JSON.stringify(await collect(iterator, (kv) => kv.key));
    },

    async page(stub, start, end, size, bookmark) {
        const { iterator, metadata } = await stub.getStateByRangeWithPagination(start, end, Number(size), bookmark);
        const keys = await collect(iterator, (kv) => kv.key);
        return JSON.stringify({ keys, count: metadata.fetchedRecordsCount, bookmark: metadata.bookmark });
    },

    async history(stub, key) {
        const iterator = await stub.getHistoryForKey(key);
        const entries = await collect(iterator, (m) => ({ value: text(m.value), deleted: m.isDelete, tx: m.txId }));
        return JSON.stringify(entries);
    },

    async transfer(stub, from, to, amount) {
        const left = Number(text(await stub.getState(from))) - Number(amount);
        const right = Number(text(await stub.getState(to)) || '0') + Number(amount);
        if (left < 0) {
            throw new Error(`${from} has not enough`);
        }
        await stub.putState(from, Buffer.from(String(left)));
        await stub.putState(to, Buffer.from(String(right)));
        stub.setEvent('transfer', Buffer.from(JSON.stringify({ from, to, amount })));
    },

    async call(stub, chaincode, channel, ...args) {
        const response = await stub.invokeChaincode(chaincode, args, channel);
        return Buffer.from(response.payload);
    },

    async policy(stub, key, value) {
        await stub.setStateValidationParameter(key, Buffer.from(value));
    },

    async policyOf(stub, key) {
        return stub.getStateValidationParameter(key);
    },

    async transient(stub, key) {
        return stub.getTransient().get(key);
    },

    async whoami(stub) {
        return stub.getCreator().mspid;
    },

    async status(stub, code, message) {
        return { status: Number(code), message, payload: Buffer.from('refused') };
    },

    async refuse(stub, message) {
        throw new Error(message);
    },

    async hang() {
        await new Promise(() => {});
    },

    async crash() {
        process.stderr.write('about to crash\n');
        process.exit(3);
    },
};

class KeyValue {
    async Init(stub) {
        const args = stub.getArgs();
        if (args[0] === 'fail') {
            return shim.error('init refused');
        }
        for (let i = 0; i + 1 < args.length; i += 2) {
            await stub.putState(args[i], Buffer.from(args[i + 1]));
        }
        return shim.success();
    }

    async Invoke(stub) {
        const { fcn, params } = stub.getFunctionAndParameters();
        const run = Object.hasOwn(functions, fcn) ? functions[fcn] : undefined;
        if (!run) {
            return shim.error(`unknown function ${fcn}`);
        }
        try {
            const result = await run(stub, ...params);
            if (result && result.status) {
                return result;
            }
            return shim.success(result === undefined ? undefined : Buffer.from(result));
        } catch (error) {
            return shim.error(error.message);
        }
    }
}

shim.start(new KeyValue());
