"""The built-in Scenes as a data set of every task; imports targets, data sets, formats and the generator."""
