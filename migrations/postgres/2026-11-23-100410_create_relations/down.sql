DROP TABLE aggregations;
DROP TABLE indirect_relations;
DROP TABLE relations;
