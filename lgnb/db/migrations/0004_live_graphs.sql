-- Live graphs: kernels that execute runs of their own graphs through a host, and what they serve.

-- Which kernel a host acts for; null for a worker process.
ALTER TABLE workers ADD COLUMN kernel jsonb;

-- The kernel that serves the graph, or served it last; null for a graph of langgraph.json.
ALTER TABLE graphs ADD COLUMN kernel jsonb;
