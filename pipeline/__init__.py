"""cloudmask: STAC in; a mask archive, composites of clear observations and their record out, as Zarr.

The rooms, in the order of a run: `config` -> `search` -> `grid` -> `cube` -> `mask` (with `models`)
-> `composite` -> `store`; `run` is the story; `query` answers from the store.
"""
