package kv;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.hyperledger.fabric.protos.msp.SerializedIdentity;
import org.hyperledger.fabric.shim.ChaincodeBase;
import org.hyperledger.fabric.shim.ChaincodeStub;
import org.hyperledger.fabric.shim.ResponseUtils;
import org.hyperledger.fabric.shim.ledger.KeyModification;
import org.hyperledger.fabric.shim.ledger.QueryResultsIterator;
import org.hyperledger.fabric.shim.ledger.QueryResultsIteratorWithMetadata;
import org.json.JSONArray;
import org.json.JSONObject;

/** Key-value chaincode on the low-level shim, with the functions of its sibling for Node. */
public final class KeyValue extends ChaincodeBase {

    private interface Function {
        Object run(ChaincodeStub stub, List<String> args) throws Exception;
    }

    private final Map<String, Function> functions = new TreeMap<>();

    private KeyValue() {
        functions.put("noop", (stub, args) -> null);
        functions.put("put", (stub, args) -> {
            stub.putState(args.get(0), args.get(1).getBytes(UTF_8));
            return null;
        });
        functions.put("get", (stub, args) -> stub.getState(args.get(0)));
        functions.put("del", (stub, args) -> {
            stub.delState(args.get(0));
            return null;
        });
        functions.put("fill", KeyValue::fill);
        functions.put("range", KeyValue::range);
        functions.put("page", KeyValue::page);
        functions.put("history", KeyValue::history);
        functions.put("transfer", KeyValue::transfer);
        functions.put("call", KeyValue::call);
        functions.put("policy", (stub, args) -> {
            stub.setStateValidationParameter(args.get(0), args.get(1).getBytes(UTF_8));
            return null;
        });
        functions.put("policyOf", (stub, args) -> stub.getStateValidationParameter(args.get(0)));
        functions.put("transient", (stub, args) -> stub.getTransient().get(args.get(0)));
        functions.put("whoami", (stub, args) -> SerializedIdentity.parseFrom(stub.getCreator()).getMspid());
        functions.put("status", (stub, args) ->
                new Response(Integer.parseInt(args.get(0)), args.get(1), "refused".getBytes(UTF_8)));
        functions.put("refuse", (stub, args) -> {
            throw new IllegalStateException(args.get(0));
        });
        functions.put("hang", (stub, args) -> {
            Thread.currentThread().join();
            return null;
        });
        functions.put("crash", (stub, args) -> {
            System.err.println("about to crash");
            Runtime.getRuntime().halt(3);
            return null;
        });
    }

    /** Writes `count` keys `prefix0000`, `prefix0001`, … */
    private static Object fill(final ChaincodeStub stub, final List<String> args) {
        for (int i = 0; i < Integer.parseInt(args.get(1)); i++) {
            stub.putState(String.format("%s%04d", args.get(0), i), ("value " + i).getBytes(UTF_8));
        }
        return null;
    }

    private static List<String> keys(final Iterable<org.hyperledger.fabric.shim.ledger.KeyValue> found) {
        final List<String> keys = new ArrayList<>();
        found.forEach(entry -> keys.add(entry.getKey()));
        return keys;
    }

    private static Object range(final ChaincodeStub stub, final List<String> args) throws Exception {
        try (QueryResultsIterator<org.hyperledger.fabric.shim.ledger.KeyValue> found =
                stub.getStateByRange(args.get(0), args.get(1))) {
            return new JSONArray(keys(found));
        }
    }

    private static Object page(final ChaincodeStub stub, final List<String> args) throws Exception {
        try (QueryResultsIteratorWithMetadata<org.hyperledger.fabric.shim.ledger.KeyValue> found =
                stub.getStateByRangeWithPagination(
                        args.get(0), args.get(1), Integer.parseInt(args.get(2)), args.get(3))) {
            return new JSONObject()
                    .put("keys", keys(found))
                    .put("count", found.getMetadata().getFetchedRecordsCount())
                    .put("bookmark", found.getMetadata().getBookmark());
        }
    }

    private static Object history(final ChaincodeStub stub, final List<String> args) throws Exception {
        final JSONArray entries = new JSONArray();
        try (QueryResultsIterator<KeyModification> found = stub.getHistoryForKey(args.get(0))) {
            found.forEach(entry -> entries.put(new JSONObject()
                    .put("value", new String(entry.getValue(), UTF_8))
                    .put("deleted", entry.isDeleted())
                    .put("tx", entry.getTxId())));
        }
        return entries;
    }

    private static int amount(final ChaincodeStub stub, final String key) {
        final String value = stub.getStringState(key);
        return value.isEmpty() ? 0 : Integer.parseInt(value);
    }

    private static Object transfer(final ChaincodeStub stub, final List<String> args) {
        final String from = args.get(0);
        final String to = args.get(1);
        final int moved = Integer.parseInt(args.get(2));
        final int left = amount(stub, from) - moved;
        final int right = amount(stub, to) + moved;
        if (left < 0) {
            throw new IllegalStateException(from + " has not enough");
        }
        stub.putStringState(from, Integer.toString(left));
        stub.putStringState(to, Integer.toString(right));
        final JSONObject event = new JSONObject().put("from", from).put("to", to).put("amount", args.get(2));
        stub.setEvent("transfer", event.toString().getBytes(UTF_8));
        return null;
    }

    private static Object call(final ChaincodeStub stub, final List<String> args) {
        final List<byte[]> input = new ArrayList<>();
        args.subList(2, args.size()).forEach(arg -> input.add(arg.getBytes(UTF_8)));
        final Response response = stub.invokeChaincode(args.get(0), input, args.get(1));
        if (response.getStatus() != Response.Status.SUCCESS) {
            throw new IllegalStateException(response.getMessage());
        }
        return response.getPayload();
    }

    @Override
    public Response init(final ChaincodeStub stub) {
        final List<String> args = stub.getStringArgs();
        if (!args.isEmpty() && args.get(0).equals("fail")) {
            return ResponseUtils.newErrorResponse("init refused");
        }
        for (int i = 0; i + 1 < args.size(); i += 2) {
            stub.putStringState(args.get(i), args.get(i + 1));
        }
        return ResponseUtils.newSuccessResponse();
    }

    @Override
    public Response invoke(final ChaincodeStub stub) {
        final Function function = functions.get(stub.getFunction());
        if (function == null) {
            return ResponseUtils.newErrorResponse("unknown function " + stub.getFunction());
        }
        try {
            final Object result = function.run(stub, stub.getParameters());
            if (result instanceof Response) {
                return (Response) result;
            }
            if (result == null) {
                return ResponseUtils.newSuccessResponse();
            }
            final byte[] payload = result instanceof byte[] ? (byte[]) result : result.toString().getBytes(UTF_8);
            return ResponseUtils.newSuccessResponse(payload);
        } catch (Exception refusal) {
            return ResponseUtils.newErrorResponse(refusal.getMessage());
        }
    }

    public static void main(final String[] args) {
        new KeyValue().start(args);
    }
}
