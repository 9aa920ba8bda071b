# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The pieces that every end-to-end test is made of: peers, certificates, the daemon, the world."""
