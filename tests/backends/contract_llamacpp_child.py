"""llama.cpp's own server as the contract's child: ``python -m tests.backends.contract_llamacpp_child PORT MODEL``."""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    """Until standard input ends, so that no parent leaves it behind."""
    params = xllamacpp.CommonParams()
    params.port, params.hostnames, params.model.path = int(sys.argv[1]), ["127.0.0.1"], sys.argv[2]
    params.model_alias = {"served"}
    params.n_ctx, params.n_parallel, params.verbosity, params.endpoint_metrics = 8192, 4, -1, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
