//! The commented configurations that `init` writes. Every default is shown as it is.

/// A commented `agent.toml`.
pub fn agent_template(id: &str, state_dir: &str, broker: &str) -> String {
    format!(
        r#"# Headwater agent. Times and sizes always carry a unit ("10s", "64MiB").
# What is commented out shows the default.

id = "{id}"                      # unique in the fleet: A-Z a-z 0-9 _ -
# fleet = "default"
state-dir = "{state_dir}"        # state, outbox and identity of this agent
# flash-budget = "2GiB/day"       # checkpoints are further apart when more is written; or "none"

[uplink]                          # leave it out for an agent that runs alone
broker = "{broker}"               # mqtt://host:port, or mqtts:// with TLS
# version = "3.1.1"               # or "5"
# user = "agent"
# password = "${{secret:mqtt}}"   # never write a password itself here
# window = 32                     # frames under way at a time
# resend-after = "30s"
# keep-alive = "30s"

# [uplink.tls]                    # with mqtts:// only; PEM files
# ca = "/etc/headwater/ca.pem"    # the system's certificates if absent
# cert = "/etc/headwater/agent.pem"
# key = "/etc/headwater/agent.key"

[checkpoint]                      # each one writes to the flash
# interval = "10s"
# interval-max = "5min"           # as far as the flash budget stretches it
# dirty-bytes = "1MiB"

[outbox]                          # what waits while the link is down
# quota = "256MiB"
# policy = "pause"                # or "drop-oldest", "drop-newest", "coarsen"

[clock]                           # is this machine's clock right?
# trust = "auto"                  # or "ntp", "plausible", "always"
# settle = "10min"                # a doubtful clock is believed when it stood for so long
# untrusted = "hold"              # rows stamped here wait for the time; or "estimate"
# hold-bytes = "4MiB"             # what waits for it at most; then its sources wait

[limits]
# payload-bytes-max = "256KiB"    # a larger payload or line becomes a dead letter
# memory = "128MiB"                # ceiling of the pipeline's state
# state-cache = "2MiB"

[http]                            # /metrics, /health and /status
# enabled = true
# listen = "127.0.0.1:0"          # port 0: a free one, written to the log
# public = false                  # true allows an address other than loopback

[log]
# level = "info"                  # error, warn, info, debug, trace
# json = false

[vars]                            # ${{name}} in the pipeline
# site = "roof"

[secrets]                         # ${{secret:name}}: files, or systemd credentials of that name
# mqtt = "/etc/headwater/mqtt.password"
"#
    )
}

/// A commented `aggregator.toml`.
pub fn aggregator_template(id: &str, state_dir: &str, broker: &str) -> String {
    format!(
        r#"# Headwater aggregator. Times and sizes always carry a unit ("10s", "64MiB").
# What is commented out shows the default.

id = "{id}"
# fleet = "default"               # the agents of this fleet
state-dir = "{state_dir}"        # state and ledger

[uplink]
broker = "{broker}"               # mqtt://host:port, or mqtts:// with TLS
# version = "3.1.1"               # or "5"
# user = "aggregator"
# password = "${{secret:mqtt}}"   # never write a password itself here
# idle-timeout = "60s"            # a silent agent then no longer holds back windows
# correction-horizon = "7d"       # how long results can be corrected by a returning agent
# keep-alive = "30s"

# [uplink.tls]                    # with mqtts:// only; PEM files
# ca = "/etc/headwater/ca.pem"    # the system's certificates if absent
# cert = "/etc/headwater/aggregator.pem"
# key = "/etc/headwater/aggregator.key"

[checkpoint]
# interval = "10s"
# dirty-bytes = "1MiB"

[limits]
# payload-bytes-max = "256KiB"
# memory = "128MiB"
# state-cache = "2MiB"

[http]                            # /metrics, /health and /status
# enabled = true
# listen = "127.0.0.1:0"
# public = false

[log]
# level = "info"
# json = false

[vars]                            # ${{name}} in the pipeline

[secrets]                         # ${{secret:name}}: files, or systemd credentials of that name
# mqtt = "/etc/headwater/mqtt.password"
"#
    )
}
