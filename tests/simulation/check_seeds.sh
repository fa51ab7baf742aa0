#!/bin/bash
# SPDX-License-Identifier: MIT
# Half a minute of seeds, always the same, so that a failure comes again. A slow machine runs fewer.
exec "${abs_top_builddir:?}/tests/simulation/simulate" --tap --seconds 30 --seed 1 --seeds 1500
