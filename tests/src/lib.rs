//! Test infrastructure: brokers, proxies, the conformance runner.
