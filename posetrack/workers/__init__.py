"""Blocks of many videos over processes and machines, on Ray (the extra `ray`).

    driver   one loop: which worker does what next, journals, failures        driver, schedule, video
    crew     Ray: workers started, asked, lost and replaced                   crew (the only module that imports ray)
    worker   networks on one device; decode, observe, track                   work, recipe

A worker does the stateless part of a block (pipeline.observe) and keeps what it saw: pictures and dense flow never
leave it. The sequential part goes where they are: the tracker's state, small, travels as a token from the worker that
holds one block of a video to the worker that holds the next, by way of the driver, which writes the people into the
journal. So the bytes are those of a plain run.
"""
