'use strict';

const { Contract } = require('fabric-contract-api');

class Ledger extends Contract {
    async put(ctx, key, value) {
        await ctx.stub.putState(key, Buffer.from(value));
        ctx.stub.setEvent('put', Buffer.from(key));
    }

    async get(ctx, key) {
        return Buffer.from(await ctx.stub.getState(key)).toString('utf8');
    }

    async whoami(ctx) {
        return ctx.clientIdentity.getMSPID();
    }

    async refuse(ctx, message) {
        throw new Error(message);
    }
}

exports.contracts = [Ledger];
