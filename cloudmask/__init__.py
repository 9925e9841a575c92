"""The public API of cloudmask, for notebooks and scripts.

::

    cloudmask.open("s3://…/store")      an archive, to read: masks, composites, records
    cloudmask.plan("job.yaml")          show what a run would do
    cloudmask.run("job.yaml")           run the job
    cloudmask.clear_sky(archive, aoi, "2023-04/2023-06")   clear-sky statistics of an area
    cloudmask.masks(archive, aoi, "2023-06")               the masks themselves, as xarray
    cloudmask.composite(archive, "monthly", "2023-07")     one period of a composite, as xarray
    cloudmask.export(dataset, "june.tif")                  either of them as COG, NetCDF, Zarr or PNG
    cloudmask.mask_array(cube)          mask any xarray cube, without a job
    cloudmask.load_model("ukis-csmask", level="L2A", roles=("blue", "green", "red", "nir"))

Nothing is imported before it is used: ``import cloudmask`` takes milliseconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
