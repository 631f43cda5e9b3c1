# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
.PHONY: help demo test build publish deb bench model lab lab-matrix lab-stress lab-package lab-restart lab-shell format clean

help: ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## See leases given and taken away: no root, no device, about a minute with the build
	@scripts/demo

test: ## Run every test, those in the virtual machine included
	@scripts/test

build: ## Build everything
	@dotnet build broker.sln -c Release -v q -nologo

publish: ## Publish daemon and barctl with Native AOT to artifacts/publish
	@scripts/publish

deb: ## Make the Debian packages, in artifacts/deb (SUFFIX=+site1 makes a higher version)
	@scripts/publish && scripts/deb $(SUFFIX)

bench: ## Measure, beside the bare kernel operation; writes artifacts/bench.json
	@scripts/bench

model: ## Random histories against the model of the lease book, STEPS=n of them
	@STEPS=$(or $(STEPS),1000000) dotnet run --project tests/BarBroker.Tests -c Release -v q -- -class '*LeaseBookModelTests'

lab: ## The demo on real VFIO devices, in a virtual machine
	@scripts/lab

lab-matrix: ## Every way to reach a buffer × every way to end it, in that virtual machine
	@scripts/lab-matrix

lab-stress: ## Shake the driver in that virtual machine, DURATION=seconds of it (SEED=n repeats a run's choices)
	@scripts/lab-stress $(or $(DURATION),60) $(SEED)

lab-package: ## Install, upgrade, remove and purge the Debian packages, in that virtual machine
	@scripts/lab-package

lab-restart: ## Restart, kill and hang the daemon under systemd while LEASES=1000 of them are written to: on this machine in namespaces, then in that virtual machine
	@scripts/lab-restart $(LEASES)

lab-shell: ## A prompt in that virtual machine
	@scripts/publish && scripts/lab-payload && tests/vm/lab shell --payload artifacts/lab-payload

format: ## Put the code in shape
	@dotnet format broker.sln

clean: ## Remove what was built here (the lab's cache stays; see tests/vm/lab clean)
	@rm -rf artifacts
