//! Runtimes for chaincode: the Vm trait, the process runtime and the image build context.
