// Key-value chaincode on the low-level shim, with the functions of its sibling for Node.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
)

type function func(stub shim.ChaincodeStubInterface, args []string) ([]byte, error)

// answer is a response that is no success.
type answer struct{ *peer.Response }

func (a answer) Error() string { return a.Message }

var functions map[string]function

func init() {
	functions = map[string]function{
		"noop":      func(shim.ChaincodeStubInterface, []string) ([]byte, error) { return nil, nil },
		"put":       put,
		"get":       get,
		"del":       del,
		"fill":      fill,
		"range":     keyRange,
		"page":      page,
		"history":   history,
		"transfer":  transfer,
		"call":      call,
		"policy":    policy,
		"policyOf":  policyOf,
		"transient": transient,
		"whoami":    whoami,
		"status":    status,
		"refuse":    refuse,
		"hang":      hang,
		"crash":     crash,
	}
}

func put(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return nil, stub.PutState(args[0], []byte(args[1]))
}

func get(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return stub.GetState(args[0])
}

func del(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return nil, stub.DelState(args[0])
}

// fill writes `count` keys `<prefix>0000`, `<prefix>0001`, …
func fill(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	for i := 0; i < count; i++ {
		if err := stub.PutState(fmt.Sprintf("%s%04d", args[0], i), []byte(fmt.Sprintf("value %d", i))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func keys(iterator shim.StateQueryIteratorInterface) ([]string, error) {
	defer iterator.Close()
	found := []string{}
	for iterator.HasNext() {
		entry, err := iterator.Next()
		if err != nil {
			return nil, err
		}
		found = append(found, entry.Key)
	}
	return found, nil
}

func keyRange(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	iterator, err := stub.GetStateByRange(args[0], args[1])
	if err != nil {
		return nil, err
	}
	found, err := keys(iterator)
	if err != nil {
		return nil, err
	}
	return json.Marshal(found)
}

func page(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	bookmark := args[3]
	size, err := strconv.ParseInt(args[2], 10, 32)
	if err != nil {
		return nil, err
	}
	iterator, metadata, err := stub.GetStateByRangeWithPagination(args[0], args[1], int32(size), bookmark)
	if err != nil {
		return nil, err
	}
	found, err := keys(iterator)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"keys": found, "count": metadata.FetchedRecordsCount, "bookmark": metadata.Bookmark,
	})
}

func history(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	iterator, err := stub.GetHistoryForKey(args[0])
	if err != nil {
		return nil, err
	}
	defer iterator.Close()
	entries := []map[string]any{}
	for iterator.HasNext() {
		entry, err := iterator.Next()
		if err != nil {
			return nil, err
		}
		entries = append(entries, map[string]any{
			"value": string(entry.Value), "deleted": entry.IsDelete, "tx": entry.TxId,
		})
	}
	return json.Marshal(entries)
}

func amount(stub shim.ChaincodeStubInterface, key string) (int, error) {
	value, err := stub.GetState(key)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

func transfer(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	from, to := args[0], args[1]
	moved, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, err
	}
	left, err := amount(stub, from)
	if err != nil {
		return nil, err
	}
	right, err := amount(stub, to)
	if err != nil {
		return nil, err
	}
	if left < moved {
		return nil, fmt.Errorf("%s has not enough", from)
	}
	if err := stub.PutState(from, []byte(strconv.Itoa(left-moved))); err != nil {
		return nil, err
	}
	if err := stub.PutState(to, []byte(strconv.Itoa(right+moved))); err != nil {
		return nil, err
	}
	event, err := json.Marshal(map[string]string{"from": from, "to": to, "amount": args[2]})
	if err != nil {
		return nil, err
	}
	return nil, stub.SetEvent("transfer", event)
}

func call(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	input := [][]byte{}
	for _, arg := range args[2:] {
		input = append(input, []byte(arg))
	}
	response := stub.InvokeChaincode(args[0], input, args[1])
	if response.Status != shim.OK {
		return nil, errors.New(response.Message)
	}
	return response.Payload, nil
}

func policy(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return nil, stub.SetStateValidationParameter(args[0], []byte(args[1]))
}

func policyOf(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return stub.GetStateValidationParameter(args[0])
}

func transient(stub shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	values, err := stub.GetTransient()
	return values[args[0]], err
}

func whoami(stub shim.ChaincodeStubInterface, _ []string) ([]byte, error) {
	creator, err := stub.GetCreator()
	if err != nil {
		return nil, err
	}
	identity := &msp.SerializedIdentity{}
	if err := proto.Unmarshal(creator, identity); err != nil {
		return nil, err
	}
	return []byte(identity.Mspid), nil
}

func status(_ shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	code, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil {
		return nil, err
	}
	return nil, answer{&peer.Response{Status: int32(code), Message: args[1], Payload: []byte("refused")}}
}

func refuse(_ shim.ChaincodeStubInterface, args []string) ([]byte, error) {
	return nil, errors.New(args[0])
}

func hang(shim.ChaincodeStubInterface, []string) ([]byte, error) {
	select {}
}

func crash(shim.ChaincodeStubInterface, []string) ([]byte, error) {
	fmt.Fprintln(os.Stderr, "about to crash")
	os.Exit(3)
	return nil, nil
}

type keyValue struct{}

func (keyValue) Init(stub shim.ChaincodeStubInterface) *peer.Response {
	args := stub.GetStringArgs()
	if len(args) > 0 && args[0] == "fail" {
		return shim.Error("init refused")
	}
	for i := 0; i+1 < len(args); i += 2 {
		if err := stub.PutState(args[i], []byte(args[i+1])); err != nil {
			return shim.Error(err.Error())
		}
	}
	return shim.Success(nil)
}

func (keyValue) Invoke(stub shim.ChaincodeStubInterface) (response *peer.Response) {
	name, args := stub.GetFunctionAndParameters()
	run, known := functions[name]
	if !known {
		return shim.Error("unknown function " + name)
	}
	defer func() {
		if failure := recover(); failure != nil {
			response = shim.Error(fmt.Sprint(failure))
		}
	}()
	payload, err := run(stub, args)
	var other answer
	switch {
	case errors.As(err, &other):
		return other.Response
	case err != nil:
		return shim.Error(err.Error())
	default:
		return shim.Success(payload)
	}
}

func main() {
	if err := shim.Start(keyValue{}); err != nil {
		fmt.Fprintln(os.Stderr, "chaincode ended:", err)
		os.Exit(1)
	}
}
