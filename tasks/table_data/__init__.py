"""Images and texts in tables: Parquet files, webdataset shards and data sets of a hub, read as folders."""
